//! Every configuration in `configs/` is right, and the reference system's means what it says.

use std::fs;
use std::path::{Path, PathBuf};

use seerflow_dataflow::config::{Document, Loaded, STARTER_YAML, Sources, load};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/examples")
}

fn loaded(name: &str, text: String) -> Loaded {
    let file = Some(Document { name: name.to_owned(), text });
    load(&Sources { file, ..Sources::default() }).unwrap_or_else(|error| panic!("{error}"))
}

fn example(name: &str) -> Loaded {
    loaded(name, fs::read_to_string(folder().join(name)).unwrap())
}

#[test]
fn every_example_loads_and_sets_something() {
    let defaults = load(&Sources::default()).unwrap().settings;
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_ne!(example(&name).settings, defaults, "{name} sets nothing");
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn the_reference_systems_example_means_what_it_says() {
    let loaded = example("product-page.yaml");
    let settings = &loaded.settings;
    assert_eq!(settings.receivers.bind_addr.to_string(), "0.0.0.0");
    assert_eq!(settings.receivers.syslog_udp_port, 514);
    assert_eq!(settings.receivers.syslog_tcp_port, 601);
    assert_eq!(settings.receivers.file_paths.len(), 2);
    assert_eq!(settings.detection.hst_window_size, 1_000);
    assert_eq!(settings.detection.dspot.calibration_window, 1_000);
    assert_eq!(settings.detection.dspot.risk_level, 1e-4);
    assert_eq!(settings.correlation.window_duration_seconds, 1_800);
    assert_eq!(settings.watermark.tolerance_s, 30);
    assert_eq!(settings.alerting.dedup_window_seconds, 900);
    assert_eq!(settings.state.dir, Path::new("/var/lib/seerflow"));
    assert_eq!(settings.log_level, "info");
    let notes: Vec<String> = loaded.notes().into_iter().map(|(note, _)| note).collect();
    assert!(
        notes.contains(&"`detection.hw.seasonal_period` is known and has no effect yet".into())
    );
    assert!(
        notes.iter().all(|note| !note.contains("syslog") && !note.contains("dspot")),
        "{notes:?}"
    );
}

#[test]
fn what_init_writes_means_the_defaults() {
    let defaults = load(&Sources::default()).unwrap().settings;
    assert_eq!(loaded("starter.yaml", STARTER_YAML.to_owned()).settings, defaults);
}
