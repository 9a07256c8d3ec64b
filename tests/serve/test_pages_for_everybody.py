"""Every page in a real browser: axe finds nothing in either theme, and each is used by keyboard alone and by mouse."""

import pytest
from canned import Canned, all_tasks, classification, tagged
from fakes import Writer
from running import Running
from test_collections import Encoder, Reader

pytestmark = pytest.mark.slow
FILLS = {
    "tag": {"text": "anything"},
    "classify": {"text": "a film", "pair": "another"},
    "zero-shot": {"text": "the match", "labels": "sport\npolitics", "template": "It is {}."},
    "answer": {"text": "Where?", "passage": "The old house \U0001f3e0 stands on a hill <by> the sea."},
    "fill-mask": {"text": "Paris is the [MASK]."},
    "generate": {"text": "hello \U0001f600"},
    "encode": {"text": "aab", "other": "ab\ncc"},
    "search": {"text": "aaab"},
}
ANSWERS = {
    "tag": "Ann \U0001f600 Lee", "classify": "75.0%", "zero-shot": "75.0%", "answer": "on a hill",
    "fill-mask": "capital", "generate": "hello \U0001f600", "encode": "0.9487", "search": "aaab",
}  # fmt: skip
PAGES = ["", *FILLS, "docs"]


@pytest.fixture(scope="module")
def site():
    models = {
        "tags": Canned("token-classification", tagged()), "classes": Canned("text-classification", classification()),
        "writer": Writer(), "encoder": Encoder(), "reader": Reader(),
        **{each.name: each for each in all_tasks() if each.name in ("fill-mask", "zero-shot-classification")},
        "answers": next(each for each in all_tasks() if each.name == "question-answering"),
    }  # fmt: skip
    models["reader"], models["answers"] = models["answers"], models["reader"]  # the first one is offered first
    with Running(models, grpc_port=None) as running:
        yield running.http


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)], ids=lambda p: f"{p[0]}-{p[1]}")
def page(chromium, request):
    scheme, width = request.param
    made = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 640})
    made.set_default_timeout(15000)
    made.wrong = []
    made.on("pageerror", lambda error: made.wrong.append(str(error)))
    made.on("console", lambda message: made.wrong.append(message.text) if message.type == "error" else None)
    yield made
    made.close()
    assert made.wrong == []


def opened(page, site: str, name: str) -> None:
    page.goto(f"{site}/docs" if name == "docs" else f"{site}/ui/{name}")
    page.wait_for_selector({"": "table", "docs": "section"}.get(name, "#model option"), state="attached")


def faultless(page) -> None:
    """Whether axe finds nothing wrong, best practices included, and nothing is wider than the window."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python: pip install -e '.[pages]'"
    )
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def answered(page, name: str) -> None:
    page.locator("#times", has_text="there and back").wait_for()
    assert page.get_attribute("#result", "aria-busy") == "false"
    assert ANSWERS[name] in page.inner_text("#result")
    assert "curl" in page.text_content("#curl")


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_page_or_on_its_answer(page, site, name):
    opened(page, site, name)
    faultless(page)
    if name in FILLS:
        for field, value in FILLS[name].items():
            page.fill(f"#{field}", value)
        page.click("#send")
        answered(page, name)
        for details in page.locator("details").all():
            details.locator("summary").click()
        faultless(page)


@pytest.mark.parametrize("name", FILLS)
def test_a_page_is_used_by_keyboard_alone(page, site, name):
    opened(page, site, name)
    left, at = dict(FILLS[name]), ""
    for _ in range(40):
        page.keyboard.press("Tab")
        at = page.evaluate("document.activeElement.id")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"  # where one is, shows
        if at in left:
            page.keyboard.insert_text(left.pop(at))
        if at == "send":
            break
    assert (at, left) == ("send", {})
    page.keyboard.press("Enter")
    answered(page, name)
    for _ in range(20):  # on to the line of a shell, which opens by a key
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    assert page.locator("#curl").is_visible()


@pytest.mark.parametrize("name", FILLS)
def test_a_page_is_used_by_mouse(page, site, name):
    opened(page, site, name)
    page.locator("button[data-example]").first.click()
    page.locator("#times", has_text="there and back").wait_for()
    assert page.inner_text("#result").strip()
    page.locator("summary").last.click()
    assert page.locator("#raw").is_visible()


def test_what_is_wrong_is_where_the_keyboard_is_and_axe_finds_nothing_on_it(page, site):
    opened(page, site, "generate")
    page.fill("#text", "bad")
    page.click("#send")
    page.wait_for_selector(".problem:focus")
    assert "this text is bad" in page.inner_text(".problem")
    faultless(page)
    page.wrong.clear()  # the browser itself notes the status 422
