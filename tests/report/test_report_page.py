# SPDX-License-Identifier: BSD-2-Clause
"""Reports of made-up runs of each kind: contents, escaping, nesting, nothing from outside, size."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from spago_jax.drawing.html import VOID
from spago_jax.report import read_run, render, write_report
from spago_jax.report.compare import read_summary
from spago_jax.train.run_folder import RunFolder

KINDS = ["entities", "roles", "images", "texts", "language", "interrupted"]
NASTY = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Reads a page strictly: every element is closed where it was opened; keeps elements and their text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words = [], [], []
        self.feed(source)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice: {names}"
        element = {"tag": tag, "text": [], **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"].append(data)
        if not any(element["tag"] in ("script", "style") for element in self.open):
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)

    def all(self, tag, class_=None):
        return [e for e in self.elements if e["tag"] == tag and (class_ is None or class_ in classes(e))]

    def texts(self, tag, class_=None):
        return ["".join(e["text"]) for e in self.all(tag, class_)]


def classes(element):
    return (element.get("class") or "").split()


def page_of(run):
    path = write_report(run)
    assert path == run.path / "report.html"
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_whole_well_formed_self_contained_and_small(runs, kind):
    run = getattr(runs, kind)()
    before = sorted(p.name for p in run.path.iterdir())
    page = page_of(run)
    assert sorted(p.name for p in run.path.iterdir()) == sorted([*before, "report.html"])
    assert "could not be drawn" not in page.text
    assert (run / "report.html").stat().st_size < 250_000
    for element in page.elements:
        assert element["tag"] not in ("link", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in element)
        assert "srcset" not in element
        if "src" in element:
            assert element["src"].startswith("data:image/png;base64,")
        if "href" in element:
            assert element["href"].startswith("#")
            assert any(e.get("id") == element["href"][1:] for e in page.elements)
    style = "".join(page.texts("style"))
    assert "url(" not in style
    assert "@import" not in style
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_page_s_own_script_may_run(runs, kind):
    page = page_of(getattr(runs, kind)())
    scripts = page.texts("script")
    assert len(scripts) == 1
    policy = next(e["content"] for e in page.all("meta") if e.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("kind", ["entities", "roles", "texts", "language"])
def test_markup_in_the_data_is_shown_as_text(runs, kind):
    page = page_of(getattr(runs, kind)())
    assert NASTY in page.text


def test_same_folder_same_page(runs):
    run = runs.roles()
    assert render(read_run(run)) == render(read_run(run))


def test_headline_has_scores_baseline_and_facts(runs):
    page = page_of(runs.entities())
    assert page.texts("h1") == ["ner-made-up"]
    assert page.texts("article")[0].startswith("test")
    assert page.texts("article")[1].startswith("dev")
    assert page.texts("p", "figure")[0] == "0.8583F1baseline 0.3880 (+0.4703)"
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["parameters"] == "3,304,170"
    assert facts["best step"] == "900"
    assert facts["seed"] == "7"
    assert facts["epochs"] == "8"


def test_curves_have_the_points_of_the_log_and_mark_the_best_step(runs):
    run = runs.entities()
    page = page_of(run)
    charts = {"".join(e["text"]): json.loads(e["data-chart"]) for e in page.all("svg")}
    found = {next(name for name in names if key.startswith(name)): key for key in charts for names in [_CHARTS]}
    assert set(found) == set(_CHARTS)
    lines = {line["name"]: line for line in charts[found["Loss"]]["lines"]}
    records = list(run.lines("metrics.jsonl"))
    train = [r for r in records if r["kind"] == "train"]
    assert [x for x, _ in lines["train"]["is"]] == [f"{r['step']:,}" for r in train]
    assert [float(y) for _, y in lines["train"]["is"]] == pytest.approx([r["loss"] for r in train], abs=5e-3)
    assert len(lines["dev"]["at"]) == 8
    scores = charts[found["Dev scores"]]["lines"]
    assert [line["name"] for line in scores] == ["precision", "recall", "F1"]
    assert [y for _, y in scores[2]["is"]][-1] == f"{[r for r in records if r['kind'] == 'dev'][-1]['f1']:.4f}"
    assert page.text.count("best, step 900") == 4


_CHARTS = ["Loss, logarithmic axis", "Loss", "Gradient norm", "Dev scores", "Training speed, tokens a second"]


def test_label_table_and_confusions(runs):
    page = page_of(runs.entities())
    rows = page.texts("tr")
    assert "PER8128030.93000.91000.9199" in rows
    assert 'alert("x")</script>10n/a0.00000.0000' in rows[[NASTY in r for r in rows].index(True)]
    cell = next(e for e in page.all("td", "miss") if e["title"] == "gold ORG, predicted LOC: 48 of 377")
    assert cell["text"] == ["13"]  # 48 / 377 in percent
    assert "Largest confusions" in page.text
    assert rows[[r.startswith("goldpredictedcount") for r in rows].index(True) + 1] == "ORGLOC4813% of 377"


def test_entities_are_boxes_and_each_kind_of_mistake_is_named(runs):
    page = page_of(runs.entities())
    boxes = list(zip(page.all("span", "entity"), page.texts("span", "entity"), strict=True))
    first = [(classes(e)[1], words) for e, words in boxes[:4]]
    assert first == [
        ("right", "Ada LovelacePER"),
        ("boundary", "CharlesPER wrong boundary, gold: Charles Babbage PER"),
        ("type", "LondonORG wrong type, gold LOC"),
        ("missed", "Royal Society of Artsmissed ORG"),
    ]
    assert ("spurious", "metMISC not an entity") in [(classes(e)[1], words) for e, words in boxes]
    assert page.texts("span", "gold")[:2] == ["Charles", "Babbage"]
    assert "4 sentences, 3 with a mistake." in page.text
    hues = {words: classes(e)[2] for e, words in boxes}
    assert hues["Ada LovelacePER"] != hues["LondonLOC"]


def test_plain_tags_are_coloured_and_wrong_ones_show_both(runs):
    page = page_of(runs.roles())
    tokens = page.all("span", "t")
    wrong = [e for e in tokens if "bad" in classes(e)]
    assert len(tokens) == 10 * 21 + 2
    assert len(wrong) == sum(i % 4 for i in range(10)) + 1
    assert wrong[0]["title"] == "predicted name, gold parameter"
    assert "".join(wrong[0]["text"]) == "byname parameter"
    assert page.all("input", "every")
    assert page.all("input", "only")


def test_a_tag_outside_its_scheme_is_shown_as_it_is(runs):
    run = runs.folder("odd")
    sample = {"kind": "tags", "tokens": ["a", "b"], "gold": ["NOUN", "VERB"], "predicted": ["NOUN", "NOUN"]}
    sample["scheme"] = "IOB2"
    run.write_json("details.json", {"dev": {"samples": [sample]}})
    page = page_of(run)
    assert page.texts("span", "t") == ["aNOUN", "bNOUN VERB"]


def test_images_are_pictures_with_their_verdicts(runs):
    page = page_of(runs.images())
    pictures = page.all("img")
    assert len(pictures) == 12
    assert pictures[1]["alt"] == "predicted 1, gold 0"
    captions = [words for words in page.texts("figcaption") if words[0].isdigit()]
    assert captions == ["0", "1 0", "2 0"] * 4
    assert "12 images, 8 of them mistaken" in page.text


def test_many_classes_are_folded(runs):
    page = page_of(runs.texts())
    assert "57 smaller labels are added up in (other)" in page.text
    assert len(page.texts("td", "total")) == 21
    assert "31 examples, 30 of them mistaken" in page.text
    total = sum(int(words.replace(",", "")) for words in page.texts("td", "total"))
    assert total == 77 * 36 + 76 * 4  # of the made-up matrix: 36 right in each row, 4 wrong in all but one


def test_the_largest_confusions_of_many_classes_come_first_as_a_list(runs):
    """By brute force over the made-up matrix: 4 wrong in each row but that of the one that it maps onto itself."""
    page = page_of(runs.texts(150))
    pairs = [(i, (i * 5 + 1) % 150) for i in range(150) if i != (i * 5 + 1) % 150]
    assert "Map of the 20 largest labels" in page.texts("summary")
    assert page.text.index("Largest confusions") < page.text.index("Map of the 20 largest labels")
    rows = [row for row in page.texts("tr") if row.endswith("10% of 40")]
    assert len(rows) == 20
    name = "intent_with_a_rather_long_name_"
    known = {f"{name}{gold}{name}{predicted}410% of 40" for gold, predicted in pairs}
    assert set(rows) <= known


def test_samples_show_probabilities_and_lines_where_they_have_them(runs):
    page = page_of(runs.texts())
    heads = page.texts("th")
    assert "probability" in heads
    assert "line" in heads
    assert any("79%" in row and "292" in row for row in page.texts("tr"))
    bare = runs.folder("bare-samples")
    bare.write_json(
        "details.json", {"dev": {"samples": [{"kind": "text", "text": "a", "gold": "x", "predicted": "x"}]}}
    )
    assert "probability" not in page_of(bare).texts("th")


def test_a_baseline_is_shown_beside_the_score(runs):
    page = page_of(runs.texts())
    assert "baseline 0.9136 (+0.0064)" in page.text


def test_language_model_has_a_chart_and_a_score(runs):
    page = page_of(runs.language())
    for name in ("Dev nats per character", "Dev bits per character", "Dev perplexity"):
        assert name in page.texts("h3")


def test_parameters_programs_config_and_command(runs):
    page = page_of(runs.entities())
    assert "15 arrays, 3,304,171 numbers, 13.2 MB; 3,304,170 trainable." in page.text
    groups = page.texts("summary")
    assert "encoder8 arrays2,097,152 (63.5%)" in groups
    assert "Programs compiled in warm-up: 6; after it: 0." in page.text
    assert any(row.endswith("3.21 GFLOP850 MB140 MB31 MB91 MB6.41 sasked for by add()") for row in page.texts("tr"))
    assert page.texts("pre", "code")[0] == (RunFolder.open(runs.root / "ner-made-up") / "config.yaml").read_text()
    assert "spago-jax train configs/ner-made-up.yaml train.epochs=8" in page.text
    assert "0.10.2" in page.text


def test_compilations_after_warm_up_are_pointed_at(runs):
    run = runs.folder("recompiled")
    run.write_json("programs.json", {"compilations_in_warm_up": 2, "compilations_after_warm_up": 3, "programs": []})
    assert "after it: 3. Compilations after warm-up cost time" in page_of(run).text


def test_an_interrupted_run_shows_what_there_is(runs):
    page = page_of(runs.interrupted())
    assert "This run has not ended" in page.text
    assert page.texts("h2") == ["dev, step 30", "Curves", "Config"]
    assert "Dev F1" in page.texts("h3")
    missing = "about.json, scores.json, details.json, programs.json, model.json, timings.jsonl"
    assert f"Not in the folder when this page was made: {missing}." in page.text


def test_a_folder_with_nothing_but_a_broken_config(runs, tmp_path):
    run = RunFolder(tmp_path / "bare")
    run.path.mkdir()
    run.write("config.yaml", "name: [<unclosed\n")
    page = page_of(run)
    assert page.texts("h1") == ["bare"]
    assert page.texts("pre", "code") == ["name: [<unclosed\n"]


def test_a_part_that_does_not_fit_costs_only_itself(runs):
    run = runs.language()
    run.write_json(
        "details.json",
        {"test": {"labels": [{"no": "label"}], "samples": [{"kind": "text", "text": "still here"}]}},
    )
    run.write("model.json", "[{")
    run.write("programs.json", "[1]")
    page = page_of(run)
    assert "This part could not be drawn: KeyError: 'label'" in page.text
    assert "model.json" in page.texts("footer")[0]
    assert "Gradient norm" in page.texts("h3")


def test_numbers_that_are_not_finite_leave_gaps(runs):
    run = runs.folder("gaps")
    for step, loss in ((1, 2.0), (2, None), (3, float("nan")), (4, 1.0)):
        run.append("metrics.jsonl", {"step": step, "kind": "train", "loss": loss})
    page = page_of(run)
    chart = json.loads(page.all("svg")[0]["data-chart"])
    assert [x for x, _ in chart["lines"][0]["is"]] == ["1", "4"]
    assert not re.search(r"\bnan\b", (run / "report.html").read_text().lower().split("<script>")[0])


def test_control_characters_and_halves_of_characters_do_not_break_the_page(runs):
    run = runs.folder("odd-characters")
    (run / "details.json").write_text('{"dev": {"samples": [{"kind": "text", "text": "a\\u0000b\\ud800c"}]}}')
    assert page_of(run).texts("span", "sample") == ["a\ufffdb\ufffdc"]


@pytest.mark.parametrize("scores", ["x", 3, [1], {}])
def test_final_scores_that_are_none_are_those_of_a_run_that_did_not_end(runs, scores):
    run = runs.language()
    run.write_json("scores.json", {"scores": scores})
    assert not read_run(run).finished
    assert read_summary(run.path).test == {}
