use super::*;

fn parse(text: &str, flags: Flags) -> Result<Settings, SettingsError> {
    Settings::parse(text, Path::new("/root"), flags)
}

#[test]
fn an_empty_file_means_the_documented_defaults() {
    let settings = parse("", Flags::default()).unwrap();
    assert_eq!(settings.ingress.to_string(), "127.0.0.1:7142");
    assert_eq!(settings.console.to_string(), "127.0.0.1:7143");
    assert_eq!(settings.replay_window_seconds, 604_800);
}

#[test]
fn an_unknown_setting_is_refused_with_its_place_and_the_nearest_name() {
    let error = parse("# comment\n  ingres = \"127.0.0.1:1\"\n", Flags::default()).unwrap_err();
    assert_eq!(error.to_string(), "palyra.toml:2:3: unknown setting `ingres`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `ingress`?"));
}

#[test]
fn a_console_beyond_loopback_needs_to_be_asked_for() {
    let flags = Flags { console: Some("0.0.0.0:0".parse().unwrap()), ..Flags::default() };
    assert!(parse("", flags).unwrap_err().to_string().contains("not loopback"));
    assert!(parse("console_allow_remote = true", flags).is_ok());
}

#[test]
fn a_value_out_of_bounds_is_refused_with_its_place() {
    let error = parse("# few\nworkers = 0\n", Flags::default()).unwrap_err();
    assert_eq!(error.to_string(), "palyra.toml:2:1: workers is 0, outside 1 to 256");
    let error = parse("\n  public_url = \"your.host\"", Flags::default()).unwrap_err();
    assert!(error.to_string().starts_with("palyra.toml:2:3: public_url is `your.host`"), "{error}");
    let error = parse("key_roots_file = \"/nowhere\"", Flags::default()).unwrap_err();
    assert!(error.to_string().starts_with("palyra.toml:1:1: key_roots_file `/nowhere`"), "{error}");
}

#[test]
fn every_number_has_bounds() {
    for line in
        ["workers = 0", "in_flight_max = 0", "drain_deadline_seconds = 0", "payload_bytes_cap = 26214401"]
    {
        assert!(parse(line, Flags::default()).is_err(), "{line}");
    }
}

#[test]
fn room_for_less_than_the_largest_delivery_is_refused_with_its_place() {
    let with = |lines: &str| parse(lines, Flags::default());
    let error = with("payload_bytes_cap = 26214400\nin_flight_bytes_max = 26214399").unwrap_err();
    assert_eq!(
        error.to_string(),
        "palyra.toml:2:1: in_flight_bytes_max is 26214399, below payload_bytes_cap, which is 26214400"
    );
    assert!(error.hint.is_some());
    for lines in [
        "payload_bytes_cap = 26214400\nin_flight_bytes_max = 26214400",
        "payload_bytes_cap = 26214400",
        "in_flight_bytes_max = 1048576",
    ] {
        assert!(with(lines).is_ok(), "{lines}");
    }
}

#[test]
fn every_field_of_the_file_can_be_suggested() {
    for field in FIELDS {
        let misspelt = format!("{field}x = 1");
        let error = parse(&misspelt, Flags::default()).unwrap_err();
        assert_eq!(error.hint, Some(format!("did you mean `{field}`?")));
    }
}

#[test]
fn a_relative_path_begins_at_the_folder_of_the_file_whoever_reads_it() {
    let anchor_dir =
        |written: &str| parse(&format!("anchor_dir = '{written}'"), Flags::default()).unwrap().anchor_dir;
    assert_eq!(anchor_dir("elsewhere"), Some("/root/elsewhere".into()));
    assert_eq!(anchor_dir("/mnt/anchor"), Some("/mnt/anchor".into()));
    let error = parse("key_roots_file = 'nowhere.pem'", Flags::default()).unwrap_err();
    assert!(error.to_string().contains("`/root/nowhere.pem`"), "{error}");
}
