use super::*;

fn located(variables: &[(&str, &str)]) -> Option<PathBuf> {
    let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    StateRoot::locate(None, env).ok().map(|root| root.path().to_owned())
}

#[test]
fn the_first_variable_that_names_a_folder_decides() {
    let home = ("HOME", "/home/ann");
    assert_eq!(located(&[]), None);
    assert_eq!(located(&[home]), Some("/home/ann/.local/state/palyra".into()));
    assert_eq!(located(&[home, ("XDG_STATE_HOME", "/x")]), Some("/x/palyra".into()));
    assert_eq!(located(&[home, ("STATE_DIRECTORY", "")]), Some("/home/ann/.local/state/palyra".into()));
    assert_eq!(located(&[("PALYRA_STATE_ROOT", "/p"), ("STATE_DIRECTORY", "/s")]), Some("/p".into()));
    assert_eq!(located(&[("PALYRA_STATE_ROOT", ""), ("STATE_DIRECTORY", "/s")]), Some("/s".into()));
}

#[test]
fn of_several_folders_of_systemd_the_first_is_taken() {
    assert_eq!(
        located(&[("STATE_DIRECTORY", "/var/lib/palyra:/var/lib/other")]),
        Some("/var/lib/palyra".into())
    );
    assert_eq!(located(&[("STATE_DIRECTORY", "/var/lib/palyra")]), Some("/var/lib/palyra".into()));
}

#[test]
fn a_lock_that_was_let_go_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let root = StateRoot(folder.path().join("root"));
    let possession = root.take(Role::Daemon).unwrap();
    let we = Holder { pid: std::process::id(), role: Role::Daemon };
    assert_eq!(root.holder().unwrap(), Some(we));
    drop(possession);
    assert_eq!(root.holder().unwrap(), None);
    assert_eq!(std::fs::read(root.lock_file()).unwrap(), b"");
}

#[test]
fn a_folder_in_a_folder_of_root_is_advised_to_who_can_write_there_and_is_not_root() {
    for (owner, we, is_for_us, expected) in [
        (0, 1_000, true, "--state-root /data/state"),
        (0, 1_000, false, "sudo -u '#0'"),
        (1_000, 0, true, "sudo -u '#1000'"),
        (1_000, 1_001, true, "sudo -u '#1000'"),
    ] {
        let remedy = check::remedy_for_foreign("/data".as_ref(), owner, we, || is_for_us);
        assert!(remedy.contains(expected), "{owner} {we} {is_for_us}: {remedy}");
    }
}
