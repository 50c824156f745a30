"""Pages in a real browser: what is there, no errors, and a cell chosen by mouse and by keyboard."""

import numpy as np
import pytest

import cascade_adapters
from tests.builders.pages import open_browser
from tests.builders.suite2p_folders import make_recording

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = open_browser(tmp_path_factory.mktemp("browser") / "profile")
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, random_model):
    root = tmp_path_factory.mktemp("recording")
    planes = make_recording(root, n_frames=600, n_rois=9)
    fluorescence = planes[0].fluorescence.copy()
    fluorescence[3] = np.nan
    np.save(planes[0].folder / "F.npy", fluorescence)
    cascade_adapters.run(root, model=str(random_model.folder))
    return cascade_adapters.report(root)


def visit(browser, path):
    """Open a page; nothing may be said on the console."""
    browser.get_log("browser")
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []


def status(browser) -> str:
    return browser.find_element("css selector", "[data-role=status]").text


def press(browser, key):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(key).perform()


def test_all_parts_are_there(browser, pages):
    visit(browser, pages[0])
    assert browser.execute_script("return document.documentElement.dataset.ready") == "true"
    for part in (
        "#glance",
        "#noise svg",
        "#three canvas",
        "#viewer canvas",
        "#raster canvas",
        "#rates svg",
        "#cite pre",
    ):
        assert browser.find_elements("css selector", part), part
    assert len(browser.find_elements("css selector", "#picks canvas")) == 6  # dF/F and rate of three cells
    assert len(browser.find_elements("css selector", "#viewer option")) == 9
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, select')].filter(e => !(e.textContent.trim() || e.ariaLabel))"
    )
    assert unnamed == []


def test_a_cell_is_chosen_by_mouse(browser, pages):
    from selenium.webdriver.support.select import Select

    visit(browser, pages[0])
    browser.find_element("css selector", "#viewer [data-role=picks] button").click()
    best = status(browser)
    assert "noise level" in best and "All frames are shown" in best
    Select(browser.find_element("css selector", "[data-role=cell]")).select_by_index(3)
    assert "ROI 3" in status(browser) and "No prediction: " in status(browser)
    browser.find_element("css selector", "[data-do=next]").click()
    assert status(browser).startswith("ROI 4")
    browser.find_element("css selector", "#all-cells summary").click()
    browser.find_element("xpath", "//table//button[text()='ROI 7']").click()
    assert status(browser).startswith("ROI 7")
    browser.find_element("css selector", "#raster canvas").click()
    assert not status(browser).startswith("ROI 7")


def test_a_cell_is_chosen_and_zoomed_by_keyboard(browser, pages):
    from selenium.webdriver.common.keys import Keys

    visit(browser, pages[0])
    browser.execute_script("document.querySelector('[data-role=plots]').focus()")
    first = int(status(browser).split()[1])
    press(browser, "n")
    assert status(browser).startswith(f"ROI {first + 1}")
    press(browser, "p")
    press(browser, Keys.ARROW_UP)
    assert status(browser).startswith(f"ROI {first - 1}")
    style = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(style) != "none"  # the focus is visible

    shown = []
    for key in ("0", "+", Keys.ARROW_RIGHT, "-", "0"):
        press(browser, key)
        shown.append(browser.find_element("css selector", "#viewer [data-role=plots]").get_attribute("data-shown"))
    assert shown == ["0.00 to 20.00 s", "5.00 to 15.00 s", "7.50 to 17.50 s", "0.00 to 20.00 s", "0.00 to 20.00 s"]


@pytest.mark.parametrize("width", [1400, 1024, 420])
def test_nothing_is_wider_than_the_window(browser, pages, width):
    browser.set_window_size(width, 800)
    try:
        for page in (pages[0], pages[-1]):
            visit(browser, page)
            assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"), page
    finally:
        browser.set_window_size(1400, 900)


def test_the_overview_leads_to_the_pages(browser, pages):
    visit(browser, pages[-1])
    links = browser.find_elements("css selector", "#overview a")
    assert len(links) == 2
    links[0].click()
    assert browser.find_elements("css selector", "#viewer canvas")


def test_ground_truth_in_the_same_viewer(browser, tmp_path):
    from cascade_adapters.pages.ground_truth_page import ground_truth_page
    from cascade_engine.ground_truth import simulate_dataset

    path = tmp_path / "truth.html"
    path.write_text(ground_truth_page([simulate_dataset(3, 60.0)], "here", is_simulated=True), "utf-8")
    visit(browser, path)
    assert len(browser.find_elements("css selector", "#viewer canvas")) == 1
    press(browser, "n")
    assert status(browser).startswith("cell02")
