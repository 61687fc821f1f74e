//! `daemon --check`: what the next start would refuse, found out beside a running daemon or without one.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Daemon, add_github, fail, json, palyra, run, state_root, succeed, write_private};

/// Runs a check that must fail with 78, and gives what it said.
fn faults(root: &Path, args: &[&str]) -> String {
    let output = run(root, &[&["daemon", "--check"], args].concat(), b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0), "{said}");
    said
}

/// Every file of the root with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_check_beside_a_running_daemon_takes_no_lock_and_tells_what_the_next_start_would_read() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let checked = json(root.path(), &["daemon", "--check"]);
    assert_eq!(
        (&checked["ok"], &checked["integrations"], &checked["enabled"]),
        (&true.into(), &1.into(), &1.into())
    );
    assert!(succeed(root.path(), &["daemon", "--check"], b"").starts_with("ok: "));
    write_private(&root.path().join("palyra.toml"), "wrokers = 1\n");
    let said = faults(root.path(), &[]);
    assert!(said.contains("palyra.toml:1:1") && said.contains("`workers`"), "{said}");
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
}

#[test]
fn a_check_changes_nothing_and_tells_every_file_that_has_a_fault() {
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &text.replace("\"github\"", "\"gone\""));
    write_private(&root.path().join("palyra.toml"), "in_flight_max = 0\n");
    let before = files(root.path());
    let said = faults(root.path(), &[]);
    assert!(said.contains("in_flight_max is 0") && said.contains("unknown provider `gone`"), "{said}");
    assert!(said.contains("palyra.toml:1:1") && said.contains("webhooks.toml:"), "{said}");
    assert_eq!(files(root.path()), before);
    write_private(&root.path().join("palyra.toml"), "");
    write_private(&registry, &text);
    let same = ["--ingress", "127.0.0.1:7142", "--console", "127.0.0.1:7142"];
    assert!(faults(root.path(), &same).contains("both set to the same address"));
}

#[test]
fn a_rate_that_limits_nothing_is_refused_in_the_file_as_it_is_by_the_command() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let said = fail(root.path(), &["webhooks", "set", "gh", "--unsigned-rate-per-second", "5"], 1);
    assert!(said.contains("this integration requires a signature"), "{said}");
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &format!("{}\nunsigned_rate_per_second = 5\n", text.trim_end()));
    let line = 1 + text.trim_end().lines().count();
    let reload = fail(root.path(), &["system", "reload"], 1);
    for said in [faults(root.path(), &[]), reload] {
        let place = format!("webhooks.toml:{line}:1: webhooks[0].unsigned_rate_per_second: ");
        assert!(said.contains(&place), "{said}");
        assert!(
            said.contains("this integration requires a signature") && said.contains("leave it out"),
            "{said}"
        );
    }
    assert_eq!(daemon.github("push", "1", "{}").status, 202, "what was in force stays so");
}

#[test]
fn a_host_name_in_place_of_an_address_is_named_with_the_fields_own_default() {
    let root = state_root();
    add_github(root.path());
    for (field, port) in [("console", 7143), ("ingress", 7142)] {
        write_private(&root.path().join("palyra.toml"), &format!("{field} = \"localhost:27143\"\n"));
        let said = faults(root.path(), &[]);
        assert!(said.contains("`localhost` is a host name"), "{said}");
        assert!(said.contains(&format!("`\"127.0.0.1:{port}\"`")), "{said}");
    }
}

#[test]
fn a_check_begins_no_state_root_and_refuses_what_a_start_would() {
    let parent = state_root();
    let root = parent.path().join("new");
    assert!(succeed(&root, &["daemon", "--check"], b"").contains("nothing is configured"));
    assert!(!root.try_exists().unwrap());
    std::fs::write(parent.path().join("letter.txt"), "dear").unwrap();
    assert!(faults(parent.path(), &[]).contains("is not a state root: it contains other files"));
}

const START: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

/// Runs what a start or a check must refuse with 78, and gives what it said.
fn refused(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0), "{said}");
    said
}

#[test]
fn an_anchor_dir_that_is_no_folder_of_its_own_is_refused_with_its_place_by_a_check_and_a_start() {
    let (root, elsewhere) = (state_root(), state_root());
    add_github(root.path());
    let file = elsewhere.path().join("file");
    write_private(&file, "");
    let below = file.join("anchor");
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    for (dir, why) in [
        (Path::new("/etc"), "is open to other users (mode 755)"),
        (Path::new("/dev/null"), "is not a folder"),
        (&file, "is not a folder"),
        (&below, "cannot be accessed"),
        (&link, "is a symbolic link"),
        (Path::new("/proc/anchor"), "is on a file system of the kernel"),
    ] {
        write_private(
            &root.path().join("palyra.toml"),
            &format!("# ours\nanchor_dir = {:?}\n", dir.to_str().unwrap()),
        );
        for args in [&["daemon", "--check"][..], &START, &["webhooks", "list"]] {
            let said = refused(run(root.path(), args, b""));
            let place = format!("palyra.toml:2:1: anchor_dir `{}` ", dir.display());
            assert!(said.contains(&place) && said.contains(why), "{said}");
            assert!(said.contains("a separate folder") && !said.contains("chmod"), "{said}");
        }
    }
    let new = elsewhere.path().join("new/anchor");
    write_private(&root.path().join("palyra.toml"), &format!("anchor_dir = {:?}\n", new.to_str().unwrap()));
    succeed(root.path(), &["daemon", "--check"], b"");
    assert!(!new.try_exists().unwrap(), "a check makes nothing");
}

/// Runs it as one whom the modes of files keep out, as they do not root.
fn held_to_modes(root: &Path, args: &[&str]) -> Output {
    let mut command = palyra(root);
    if rustix::process::geteuid().is_root() {
        let privileged = command;
        command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(privileged.get_program());
        command.args(privileged.get_args());
    }
    command.args(args).env("NO_COLOR", "1").output().unwrap()
}

#[test]
fn a_check_refuses_what_cannot_be_written_to_as_a_start_does() {
    let root = state_root();
    add_github(root.path());
    for (name, mode, remedy) in [
        ("lock", 0o400, "chmod 600"),
        ("anchor", 0o500, "chmod 700"),
        ("vault", 0o500, "chmod 700"),
        ("journal.db", 0o400, "chmod 600"),
    ] {
        let path = root.path().join(name);
        let before = std::fs::metadata(&path).unwrap().permissions();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for args in [&["daemon", "--check"][..], &START] {
            let said = refused(held_to_modes(root.path(), args));
            assert!(said.contains(&format!("{remedy} {}", path.display())), "{said}");
        }
        std::fs::set_permissions(&path, before).unwrap();
    }
    assert!(held_to_modes(root.path(), &["daemon", "--check"]).status.success());
}

/// Puts a folder or a named pipe in the place of a file.
type Misplaced = fn(&Path);

const MISPLACED: [Misplaced; 2] = [
    |path| std::fs::DirBuilder::new().mode(0o700).create(path).unwrap(),
    |path| assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success()),
];

#[test]
fn a_check_refuses_a_folder_or_a_pipe_in_the_place_of_any_file_as_a_start_does() {
    let (root, elsewhere) = (state_root(), state_root());
    add_github(root.path());
    let inner = ["anchor/journal", "anchor/checkpoint", "anchor/vault", "vault/identity.txt"];
    for name in inner.into_iter().chain(["journal.db", "journal.key", "webhooks.toml", "admin.token"]) {
        let (path, aside) = (root.path().join(name), elsewhere.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        for misplace in MISPLACED {
            misplace(&path);
            for args in [&["daemon", "--check"][..], &START] {
                let said = refused(run(root.path(), args, b""));
                assert!(said.contains(&format!("`{}` is ", path.display())), "{name}: {said}");
            }
            std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path)).unwrap();
        }
        std::fs::rename(&aside, &path).unwrap();
    }
    succeed(root.path(), &["daemon", "--check"], b"");
}

#[test]
fn a_check_looks_at_the_files_of_an_anchor_that_lies_elsewhere() {
    let (root, elsewhere) = (state_root(), state_root());
    let anchor = elsewhere.path().join("anchor");
    write_private(
        &root.path().join("palyra.toml"),
        &format!("anchor_dir = {:?}\n", anchor.to_str().unwrap()),
    );
    add_github(root.path());
    write_private(&anchor.join("foreign"), "");
    std::fs::set_permissions(anchor.join("foreign"), Permissions::from_mode(0o644)).unwrap();
    succeed(root.path(), &["daemon", "--check"], b"");
    for name in ["journal", "checkpoint", "vault"] {
        let (path, aside) = (anchor.join(name), anchor.join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        for misplace in MISPLACED {
            misplace(&path);
            for args in [&["daemon", "--check"][..], &START] {
                let said = refused(run(root.path(), args, b""));
                assert!(said.contains(&format!("`{}` is ", path.display())), "{said}");
            }
            std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path)).unwrap();
        }
        std::fs::rename(&aside, &path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        for args in [&["daemon", "--check"][..], &START] {
            let said = refused(run(root.path(), args, b""));
            assert!(said.contains(&format!("chmod 600 {}", path.display())), "{said}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::hard_link(&path, &aside).unwrap();
        for args in [&["daemon", "--check"][..], &START] {
            let said = refused(run(root.path(), args, b""));
            assert!(said.contains(&format!("`{}` has a second name", path.display())), "{said}");
        }
        std::fs::remove_file(&aside).unwrap();
    }
}

#[test]
fn a_check_refuses_a_place_where_a_start_could_make_no_state_root() {
    let parent = state_root();
    let closed = parent.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    for root in [&closed.join("root"), &closed.join("a/b/root"), Path::new("/proc/palyra")] {
        for args in [&["daemon", "--check"][..], &START] {
            let said = refused(held_to_modes(root, args));
            assert!(said.contains(root.to_str().unwrap()), "{said}");
        }
    }
}

#[test]
fn a_file_that_others_can_read_is_one_fault() {
    let root = state_root();
    add_github(root.path());
    for name in ["webhooks.toml", "palyra.toml"] {
        let path = root.path().join(name);
        if !path.try_exists().unwrap() {
            write_private(&path, "");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let said = faults(root.path(), &[]);
        assert_eq!(said.matches("is open to other").count(), 1, "{said}");
        assert!(said.contains(name) && said.contains("chmod 600") && !said.contains("faults"), "{said}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_file_that_a_newer_version_wrote_is_told_as_that() {
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &(text.replace("version = 1", "version = 2") + "\n[newer]\nx = 1\n"));
    let said = faults(root.path(), &[]);
    assert!(
        said.contains("version: 2 is later than 1") && said.contains("a newer palyra wrote this file"),
        "{said}"
    );
    write_private(&registry, &text);
    let profile = std::fs::read_to_string("schemas/providers/github.toml").unwrap();
    let own = root.path().join("mine.toml");
    write_private(&own, &profile.replace("version = 1", "version = 2"));
    let lint = run(root.path(), &["providers", "lint", own.to_str().unwrap()], b"");
    let said = String::from_utf8([lint.stdout, lint.stderr].concat()).unwrap();
    assert!(!lint.status.success() && said.contains("2 is later than 1"), "{said}");
}

#[test]
fn a_field_of_webhooks_toml_that_stands_twice_is_named() {
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    let twice = "provider = \"github\"\nprovider = \"gitlab\"";
    write_private(&registry, &text.replace("provider = \"github\"", twice));
    let said = faults(root.path(), &[]);
    assert!(said.contains(": provider: is set a second time here"), "{said}");
    assert!(said.contains("remove one of the two"), "{said}");
}

#[test]
fn a_damaged_journal_is_no_fault_of_the_configuration_unless_it_has_to_tell_whether_webhooks_toml_was_lost() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let database = root.join("journal.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    bytes[page..].fill(0xff);
    std::fs::write(&database, bytes).unwrap();
    succeed(root, &["daemon", "--check"], b"");
    std::fs::remove_file(root.join("webhooks.toml")).unwrap();
    let checked = run(root, &["daemon", "--check"], b"");
    let said = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(65), "{said}");
    assert!(said.contains("cannot read the journal"), "{said}");
}
