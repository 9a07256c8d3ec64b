"""The pages as files: valid, labeled, small, readable in both themes; what they compute, by Node; and in a browser."""

import asyncio
import json
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
from canned import Canned, tagged
from fakes import Letters, Writer, until

import spago_jax.serve.pages
from spago_jax.serve.pages.assemble import assembled

FOLDER = Path(spago_jax.serve.pages.__file__).parent
PAGES = assembled()
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Checks that elements close, and keeps them."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, *tags: str) -> list[dict]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_labeled_and_takes_nothing_from_elsewhere(name):
    text = PAGES[name]
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.all("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    labeled = {attributes.get("for") for attributes in page.all("label")}
    wrapped = re.findall(r'<label class="check"><input type="checkbox" id="([\w-]+)"', text)
    for field in page.all("input", "select", "textarea"):
        assert field["id"] in labeled | set(wrapped), field
    assert "style=" not in text  # the policy of the server forbids it, as it does scripts between the lines
    assert all("src" in script for script in page.all("script"))
    assert not re.search(r"\bon\w+=", text)
    for attributes in page.all("link", "script", "a"):
        target = attributes.get("href") or attributes.get("src")
        assert "//" not in target
        assert target.startswith("#") or _there(name, target), target
    if "ask" in ids:
        assert any(attributes.get("aria-live") == "polite" for _, attributes in page.found)
    assert page.all("h1")
    assert page.all("main")
    assert page.all("nav")


def _there(page: str, target: str) -> bool:
    name = target.removeprefix("ui/") if page == "docs" else target
    if name in ("./", "", "docs", "../docs", "openapi.json"):
        return True
    return (FOLDER / name).is_file() or name in PAGES


def test_pages_are_small():
    shared = sum((FOLDER / name).stat().st_size for name in ("style.css", "page.js", "render.js", "api.js"))
    assert all(len(text.encode()) + shared < 40_000 for text in PAGES.values())


def test_texts_never_become_markup():
    for path in FOLDER.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path.name


def test_examples_fill_fields_that_are_there():
    for text in PAGES.values():
        page = Page(text)
        ids = {attributes["id"] for _, attributes in page.found if "id" in attributes}
        for button in page.all("button"):
            if "data-example" in button:
                assert set(json.loads(button["data-example"])) <= ids


def test_colors_can_be_read_in_both_themes():
    """WCAG 2.2 AA: a contrast of 4.5 for text; labels on their colors too."""
    text = (FOLDER / "style.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in text.split("@media (prefers-color", 1))
    for colors in (light, light | dark):
        pairs = [("front", "back"), ("soft", "back"), ("accent", "back"), ("wrong", "back"), ("on-accent", "accent"),
                 ("front", "field"), *(("on-label", f"l{n}") for n in range(8))]  # fmt: skip
        for one, other in pairs:
            assert contrast(colors[one], colors[other]) >= 4.5, (one, other)


def contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def node(code: str, *flags: str):
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node to run the scripts of the pages")
    found = subprocess.run(
        [program, *flags, "--input-type=module", "-e", code], capture_output=True, text=True, timeout=30, cwd=FOLDER
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def module(name: str) -> str:
    return f"{FOLDER.as_uri()}/{name}"


def test_offsets_after_an_emoji_are_right():
    text = "\U0001f600 Ann lives in Paris \U0001f1eb\U0001f1f7, says é."
    start = text.index("Paris")
    spans = [{"start": start, "end": start + 5, "label": "LOC"}, {"start": 2, "end": 5, "label": "PER"}]
    code = f"""import {{ pieces }} from {json.dumps(module("offsets.js"))};
    console.log(JSON.stringify(pieces({json.dumps(text)}, {json.dumps(spans)})
      .map(([piece, span]) => [piece, span?.label ?? null])));"""
    found = node(code)
    assert "".join(piece for piece, _ in found) == text
    assert [piece for piece in found if piece[1]] == [["Ann", "PER"], ["Paris", "LOC"]]


def test_every_script_can_be_read():
    for path in sorted(FOLDER.glob("*.js")):
        code = f"""import vm from "node:vm"; import fs from "node:fs";
        new vm.SourceTextModule(fs.readFileSync({json.dumps(str(path))}, "utf8"));
        console.log("true")"""
        assert node(code, "--experimental-vm-modules"), path.name


def test_the_reader_of_events_takes_bytes_cut_anywhere():
    data = 'event: token\ndata: {"text":"a\u6f22\U0001f600"}\n\n: still here\n\nevent: done\ndata: {}\n\n'.encode()
    code = f"""import {{ events }} from {json.dumps(module("events.js"))};
    const data = new Uint8Array({list(data)}), out = [];
    for (let cut = 0; cut <= data.length; cut++) {{
      const body = new ReadableStream({{ start(it) {{
        it.enqueue(data.slice(0, cut)); it.enqueue(data.slice(cut)); it.close(); }} }});
      const found = [];
      for await (const event of events(body)) found.push(event);
      out.push(found);
    }}
    console.log(JSON.stringify(out));"""
    expected = [{"name": "token", "data": {"text": "a漢\U0001f600"}}, {"name": "done", "data": {}}]
    assert node(code) == [expected] * (len(data) + 1)


@pytest.fixture(scope="module")
def site():
    """A server over fakes on a free port, for a browser."""
    from spago_jax.serve.config import ServeConfig
    from spago_jax.serve.server import Server

    class Loader:
        def __init__(self, shared):
            self.engine = shared.engine

        def run(self, said):
            tags = Canned("token-classification", tagged())
            for name, fake in {"a": Letters("fill-mask"), "b": Writer(), "tags": tags}.items():
                self.engine.load(name, fake.name, lambda fake=fake: fake)
            self.engine.ready()

        def load(self, name):
            raise NotImplementedError

    server = Server(ServeConfig(port=0, drain_delay=0), loader=Loader)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.run(signals=False)), daemon=True)
    thread.start()
    until(lambda: server.shared.engine.state == "ready")
    yield f"http://127.0.0.1:{server.port}"
    loop.call_soon_threadsafe(server.stop)
    thread.join(10)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_work_in_a_browser_by_keyboard_alone(site, chromium, scheme):
    page = chromium.new_page(color_scheme=scheme, viewport={"width": 320, "height": 640})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(f"{site}/")
    page.wait_for_selector("table")
    page.goto(f"{site}/ui/generate")
    page.wait_for_selector("#model option", state="attached")
    page.focus("#text")
    page.keyboard.type("hello \U0001f600")
    page.keyboard.press("Control+Enter")
    page.locator("#times", has_text="there and back").wait_for()
    assert page.inner_text("#result").strip() == "hello \U0001f600"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "curl" in page.text_content("#curl")
    page.goto(f"{site}/ui/tag")
    page.wait_for_selector("#model option", state="attached")
    page.keyboard.press("Tab")  # to the content, and from there by tabs alone
    page.focus("#text")
    page.keyboard.type("anything")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    mark = page.locator("#result mark")
    mark.wait_for()
    assert mark.inner_text().split("\n")[0].removesuffix("PER") == "Ann \U0001f600 Lee"
    assert page.text_content("#raw").startswith("{")
    assert "anything" in page.url.partition("#")[2]  # the state is in the fragment, which is not sent
    assert wrong == []
    page.goto(f"{site}/ui/generate")
    page.wait_for_selector("#model option", state="attached")
    page.fill("#text", "bad")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".problem:focus")  # what is wrong is where the keyboard is
    assert "this text is bad" in page.inner_text(".problem")
    wrong.clear()  # the browser itself notes the status 422
    page.goto(f"{site}/docs")
    page.wait_for_selector("section")
    assert wrong == []
    page.close()
