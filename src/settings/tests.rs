use super::*;

fn parse(text: &str, flags: Flags) -> Result<Settings, SettingsError> {
    Settings::parse(&Source { file: Path::new("/root/palyra.toml"), text }, flags)
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
    assert_eq!(error.to_string(), "/root/palyra.toml:2:3: unknown setting `ingres`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `ingress`?"));
}

#[test]
fn a_console_beyond_loopback_needs_to_be_asked_for() {
    let flags = Flags { console: Some("0.0.0.0:0".parse().unwrap()), ..Flags::default() };
    let check =
        |text, flags| parse(text, flags).unwrap().check_addresses().map_err(|error| error.to_string());
    assert!(check("", flags).unwrap_err().contains("is not a loopback address"));
    assert_eq!(check("console_allow_remote = true", flags), Ok(()));
    let on_loopback = Flags { console: Some("127.0.0.1:0".parse().unwrap()), ..Flags::default() };
    assert_eq!(check("console = \"0.0.0.0:7143\"", on_loopback), Ok(()), "the flag is in force");
}

#[test]
fn a_value_out_of_bounds_is_refused_with_its_place() {
    let error = parse("# few\nworkers = 0\n", Flags::default()).unwrap_err();
    assert_eq!(error.to_string(), "/root/palyra.toml:2:1: workers is 0, which is not within 1 to 256");
    let error = parse("\n  public_url = \"your.host\"", Flags::default()).unwrap_err();
    assert!(error.to_string().starts_with("/root/palyra.toml:2:3: public_url is `your.host`"), "{error}");
    let error = parse("key_roots_file = \"/nowhere\"", Flags::default()).unwrap_err();
    assert!(error.to_string().starts_with("/root/palyra.toml:1:1: key_roots_file `/nowhere`"), "{error}");
}

#[test]
fn every_setting_that_is_read_is_listed_with_its_form() {
    let unknown = toml::from_str::<SettingsFile>("none_such = 1").unwrap_err();
    let (_, read) = unknown.message().split_once("expected one of ").unwrap();
    let listed: Vec<_> = fields::FIELDS.iter().map(|(field, _)| format!("`{field}`")).collect();
    assert_eq!(read.split(", ").collect::<Vec<_>>(), listed);
}

#[test]
fn every_number_has_bounds() {
    for (field, form) in fields::FIELDS {
        let Form::Number { least, most } = form else { continue };
        for (value, is_within) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            // The largest body must fit into the bytes in flight, whatever the tested field is set to.
            let room = if field == "payload_bytes_cap" { "in_flight_bytes_max = 26214401\n" } else { "" };
            let read = parse(&format!("{room}{field} = {value}"), Flags::default());
            assert_eq!(read.is_ok(), is_within, "{field} = {value}: {read:?}");
            let said = read.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                is_within
                    || said.contains(&format!("{field} is {value}, which is not within {least} to {most}")),
                "{said}"
            );
        }
    }
}

#[test]
fn roots_of_trust_that_are_no_bounded_file_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.pem");
    std::fs::File::create(&large).unwrap().set_len(KEY_ROOTS_BYTES_MAX + 1).unwrap();
    for (file, why) in [(Path::new("/dev/zero"), "is not a regular file"), (&large, "is larger than 4194304")]
    {
        let error = parse(&format!("key_roots_file = '{}'", file.display()), Flags::default()).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("/root/palyra.toml:1:1: key_roots_file") && said.contains(why), "{said}");
    }
}

#[test]
fn a_file_of_settings_that_others_may_read_is_told_with_one_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palyra.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = Settings::load(&file, Flags::default()).unwrap_err();
    assert!(error.to_string().contains("run `chmod 600"), "{error}");
    assert_eq!(error.hint, None);
}

#[test]
fn room_for_less_than_the_largest_delivery_is_refused_with_its_place() {
    let with = |lines: &str| parse(lines, Flags::default());
    let error = with("payload_bytes_cap = 26214400\nin_flight_bytes_max = 26214399").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/root/palyra.toml:2:1: in_flight_bytes_max is 26214399, below payload_bytes_cap, which is 26214400"
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
    for (field, _) in fields::FIELDS {
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

#[test]
fn a_setting_that_cannot_be_read_is_told_with_file_line_and_what_to_write() {
    let address = "write an IP address and a port in quotes: `\"127.0.0.1:7142\"`";
    let host = "`localhost` is a host name; write an IP address and a port in quotes:";
    let (ingress, console) = (format!("{host} `\"127.0.0.1:7142\"`"), format!("{host} `\"127.0.0.1:7143\"`"));
    let whole = "write a whole number, 1 to 4096, without quotes";
    for (line, message, hint) in [
        ("in_flight_max = \"5\"", "in_flight_max is `\"5\"`, but must be a whole number", whole),
        ("in_flight_max = -1", "in_flight_max is `-1`, but must be a whole number", whole),
        (
            "ingress = \"localhost:7610\"",
            "ingress is `\"localhost:7610\"`, but must be an address and a port",
            ingress.as_str(),
        ),
        (
            "console = \"localhost:27143\"",
            "console is `\"localhost:27143\"`, but must be an address and a port",
            console.as_str(),
        ),
        (
            "console = localhost:27143",
            "console is `localhost:27143`, but must be an address and a port",
            console.as_str(),
        ),
        ("ingress = \":7610\"", "ingress is `\":7610\"`, but must be an address and a port", address),
        ("ingress = \"7610\"", "ingress is `\"7610\"`, but must be an address and a port", address),
        ("ingress = 7610", "ingress is `7610`, but must be an address and a port", address),
        (
            "ingress = 127.0.0.1:7610",
            "ingress is `127.0.0.1:7610`, but must be an address and a port",
            address,
        ),
        (
            "log_format = \"jsonl\"",
            "log_format is `\"jsonl\"`, but must be a log format",
            "did you mean `\"json\"`? Write `\"text\"` or `\"json\"`",
        ),
        (
            "console_allow_remote = \"yes\"",
            "console_allow_remote is `\"yes\"`, but must be true or false",
            "write `true` or `false`, without quotes",
        ),
        (
            "[server]",
            "`[server]` begins a table",
            "settings stand at the top level, without a table: remove `[server]`",
        ),
        ("qqqqqqqq = 1", "unknown setting `qqqqqqqq`", "docs/operations.md lists every setting"),
    ] {
        let error = parse(&format!("# ours\n{line}\n"), Flags::default()).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("/root/palyra.toml:2:") && said.ends_with(&format!(": {message}")),
            "{said}"
        );
        assert_eq!(error.hint.as_deref(), Some(hint), "{line}");
    }
}

#[test]
fn a_setting_that_stands_twice_or_is_no_toml_is_told_as_that() {
    let carriage_return = "carriage return must be followed by newline";
    for (text, place, message) in [
        ("workers = 1\nworkers = 2\n", "2:1", "workers is set a second time here"),
        ("log_format = \"json\"\nlog_format = \"json\"\n", "2:1", "log_format is set a second time here"),
        ("\"workers\" = 1\nworkers = 2\n", "2:1", "workers is set a second time here"),
        ("workers = 1\rin_flight_max = 5\r", "1:", carriage_return),
        ("log_format = \"json\"\rworkers = 2\n", "1:", carriage_return),
        ("log_format = \"json\n", "1:", "log_format: "),
        ("key_roots_file = \"a\\q\"\n", "1:", "key_roots_file: "),
    ] {
        let error = parse(text, Flags::default()).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with(&format!("/root/palyra.toml:{place}")) && said.contains(message), "{said}");
        assert!(!said.contains(", but must be ") && error.hint.is_some(), "{said}");
    }
}

#[test]
fn a_value_of_another_kind_is_told_by_its_setting_wherever_it_stands() {
    for (text, place, message) in [
        ("workers.x = 2", "1:1", "workers is a table, but must be a whole number"),
        (
            "console_allow_remote = false\n\n[workers]\nx = 2",
            "3:2",
            "workers is a table, but must be a whole number",
        ),
        ("public_url = [\"a\",\n\"b\"]", "1:1", "public_url is `[\"a\",\n\"b\"]`, but must be a URL"),
        (
            "workers = 2\nin_flight_max = \"5\" # five",
            "2:1",
            "in_flight_max is `\"5\"`, but must be a whole number",
        ),
    ] {
        let error = parse(text, Flags::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("/root/palyra.toml:{place}: {message}"));
        assert!(error.hint.is_some());
    }
}

#[test]
fn a_console_beyond_loopback_is_told_with_its_place_when_it_stands_in_the_file() {
    let fault = |text, flags| parse(text, flags).unwrap().check_addresses().unwrap_err().to_string();
    let error = fault("\nconsole = \"0.0.0.0:1\"", Flags::default());
    assert!(error.starts_with("/root/palyra.toml:2:1: the console would listen on"), "{error}");
    let flags = Flags { console: Some("0.0.0.0:0".parse().unwrap()), ..Flags::default() };
    assert!(fault("", flags).starts_with("the console"));
}

#[test]
fn one_address_for_both_listeners_is_refused() {
    let checked = |ingress: &str, console: &str| {
        let text = format!("console_allow_remote = true\ningress = \"{ingress}\"\nconsole = \"{console}\"");
        parse(&text, Flags::default()).unwrap().check_addresses()
    };
    for (ingress, console) in [
        ("127.0.0.1:7142", "127.0.0.1:7142"),
        ("0.0.0.0:7142", "127.0.0.1:7142"),
        ("127.0.0.1:7142", "[::]:7142"),
    ] {
        let error = checked(ingress, console).unwrap_err();
        assert!(error.to_string().contains("both set to the same address"), "{error}");
    }
    for (ingress, console) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:7142", "127.0.0.2:7142"),
        ("127.0.0.1:7142", "[::1]:7142"),
        ("0.0.0.0:7142", "[::1]:7142"),
    ] {
        assert_eq!(checked(ingress, console), Ok(()), "{ingress} {console}");
    }
}
