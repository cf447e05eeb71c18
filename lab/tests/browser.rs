//! The page of a run in a real Chromium: on a desk, on a phone, in the dark, and with a server that means harm.
//!
//! Chromium has no session to be driven by here: a page of ours holds the report in a frame as wide as the screen
//! in question, measures it, and writes what it found into itself, which Chromium prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun,
    expect::Expect,
    render::{self, Format},
    sockets,
};
use lab::tools::tool;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Pictures that are kept.
fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&folder).unwrap();
    fs::canonicalize(folder).unwrap()
}

fn captured() -> ConnectionProbeRun {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/tests/runs/timer-20s.json");
    serde_json::from_str(&fs::read_to_string(run).unwrap()).unwrap()
}

/// A screen.
struct Screen {
    name: &'static str,
    width: u32,
    height: u32,
    dark: bool,
}

const SCREENS: [Screen; 4] = [
    Screen { name: "desk", width: 1280, height: 2100, dark: false },
    Screen { name: "desk-dark", width: 1280, height: 2100, dark: true },
    Screen { name: "phone", width: 390, height: 3600, dark: false },
    Screen { name: "phone-dark", width: 390, height: 3600, dark: true },
];

/// Measures the page in its frame. Contrast is WCAG 2's ratio of luminances, of every text against what is behind it.
const MEASURE: &str = r#"
function measure() {
  const page = document.querySelector('iframe').contentDocument, view = page.defaultView;
  const rgb = (css) => (css.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(view.getComputedStyle(e).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...page.body.querySelectorAll('*')]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.localName !== 'title');
  const contrast = texts.map((e) => {
    const style = view.getComputedStyle(e);
    const [a, b] = [light(rgb(e.ownerSVGElement ? style.fill : style.color)), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  const drawn = [...page.querySelectorAll('figure svg')].map((svg) => {
    const frame = svg.getBoundingClientRect();
    const scale = frame.width / svg.viewBox.baseVal.width;
    const words = [...svg.querySelectorAll('text')];
    const over = words.filter((t) => t.getBoundingClientRect().right > frame.right + 1).map((t) => t.textContent);
    const size = Math.min(...words.map((t) => parseFloat(view.getComputedStyle(t).fontSize) * scale));
    return { width: frame.width, over, size };
  });
  document.body.textContent = 'MEASURED' + JSON.stringify({
    width: view.innerWidth, content: page.documentElement.scrollWidth, contrast: Math.min(...contrast),
    texts: texts.length, drawn, loaded: view.performance.getEntriesByType('resource').length,
    harmed: String(window.harmed) + String(view.harmed), scripts: page.scripts.length,
  }) + 'END';
}
"#;

/// Shows a page on a screen: what was measured. With a prefix for its name, a picture is kept.
fn show(page: &str, screen: &Screen, picture: Option<&str>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("file://{}", path.display())
    };
    write("report.html", page);
    let Screen { name, width, height, dark } = screen;
    let frame = format!(
        "<iframe src=report.html width={width} height={height} style='border:0' onload='{{}}'></iframe>"
    );
    let frame = |then: &str| frame.replace("{}", then);
    let measuring =
        write("measure.html", &format!("<body><script>{MEASURE}</script>{}", frame("measure()")));
    let chromium = |what: &[&str], url: &str| {
        let mut command = Command::new(tool("chromium"));
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--allow-file-access-from-files",
            ])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
            .args(what)
            .arg(url);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    if let Some(prefix) = picture {
        let shown = write("show.html", &format!("<body style='margin:0'>{}", frame("")));
        let file = pictures().join(format!("{prefix}{name}.png"));
        _ = fs::remove_file(&file);
        chromium(&[&format!("--screenshot={}", file.display())], &shown);
        assert!(file.exists(), "{}", file.display());
    }
    let dom = chromium(&["--dump-dom", "--virtual-time-budget=5000"], &measuring);
    let json = dom.split("MEASURED").last().and_then(|rest| rest.split("END").next());
    let json =
        json.unwrap_or_default().replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {dom}"))
}

/// Holds a page to what every screen asks: so many texts at least, so many figures. Pictures are named by `prefix`.
fn check_on_every_screen(page: &str, prefix: &str, texts: u64, figures: usize) {
    for screen in &SCREENS {
        let seen = show(page, screen, Some(prefix));
        let name = format!("{prefix}{}", screen.name);
        assert_eq!(seen["width"], screen.width, "{name}");
        assert!(
            seen["content"].as_u64() <= seen["width"].as_u64(),
            "{name}: the page scrolls sideways: {seen}"
        );
        assert_eq!(seen["loaded"], 0, "{name}: something was loaded");
        assert!(
            seen["contrast"].as_f64().unwrap() >= 4.5,
            "{name}: a text has a contrast of {}",
            seen["contrast"]
        );
        assert!(seen["texts"].as_u64().unwrap() > texts, "{name}: {}", seen["texts"]);
        let drawn = seen["drawn"].as_array().unwrap();
        assert_eq!(drawn.len(), figures, "{name}");
        for figure in drawn {
            assert_eq!(
                figure["over"].as_array().unwrap().len(),
                0,
                "{name}: words leave a figure: {figure}"
            );
            assert!(figure["size"].as_f64().unwrap() >= 7.0, "{name}: too small to read: {figure}");
        }
    }
}

#[test]
fn a_page_reads_on_every_screen_and_loads_nothing() {
    let expect = Expect { survives: Some(true), ..Expect::default() };
    let page = render::run(&captured(), Some(&expect), Format::Html);
    // Three figures for each of eight workloads.
    check_on_every_screen(&page, "", 500, 3 * 8);
}

/// A made-up run beside real workers: many, with the longest words and numbers that there are.
#[test]
fn so_does_one_of_many_real_workers() {
    let file = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/tests/timeline");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    let mut run: Value = serde_json::from_str(&file("run.json")).unwrap();
    let observed = &mut run["status"]["workloads"][1]["report"]["observed"];
    let one = observed["lives"].as_array().unwrap()[2].clone();
    for (i, fate) in
        ["ServerRestarted", "CutActive", "RowDeleted"].iter().cycle().take(70).enumerate()
    {
        let mut life = one.clone();
        life["pid"] = (4_194_304 - i).into();
        life["end"] = json!({
            "after": "2026-11-25T12:00:40Z", "before": "2026-11-25T12:00:45Z",
            "livedMs": 6_000_000_000_i64, "silenceMs": 8000, "fate": fate,
        });
        observed["lives"].as_array_mut().unwrap().push(life);
    }
    observed["livesSeen"] = 75.into();
    observed["restarts"] = json!(["2026-11-25T12:00:41Z"]);
    let run: ConnectionProbeRun = serde_json::from_value(run).unwrap();
    let pods = sockets::read("sockets.json", &file("sockets.json")).unwrap();
    let page = render::beside(&run, None, &pods, Format::Html);
    // Three for each of two workloads, two for each of two pods.
    check_on_every_screen(&page, "workers-", 500, 3 * 2 + 2 * 2);
}

#[test]
fn what_a_server_says_is_never_run() {
    let mut run = captured();
    let harm = "</title></style></svg><script>window.harmed=1;top.harmed=1</script><img src=x onerror=top.harmed=1>";
    let status = run.status.as_mut().unwrap();
    status.summary = Some(harm.to_owned());
    for finding in &mut status.findings {
        finding.observed = harm.to_owned();
        finding.evidence.push(harm.to_owned());
    }
    let reports = status.workloads.iter_mut().filter_map(|workload| workload.report.as_mut());
    let arms = reports.flat_map(|report| &mut report.arms);
    for ending in arms.flat_map(|arm| &mut arm.endings) {
        ending.detail = Some(harm.to_owned());
        ending
            .form
            .iter_mut()
            .flat_map(|form| &mut form.messages)
            .for_each(|message| message.text = harm.to_owned());
    }
    let seen = show(&render::run(&run, None, Format::Html), &SCREENS[0], None);
    assert_eq!(
        (&seen["harmed"], &seen["scripts"]),
        (&"undefinedundefined".into(), &0.into()),
        "{seen}"
    );
    assert_eq!(seen["loaded"], 0);
}
