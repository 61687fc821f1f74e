//! Promises of the files of the state root.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use super::*;

fn with_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_replaced_file_is_whole_private_and_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old, and longer than the new").unwrap();
    with_mode(&path, 0o644);
    atomic_replace(&path, b"new").unwrap();
    assert_eq!(read_private(&path, 3).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_write_that_fails_leaves_nothing_behind_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "x").unwrap();
    let error = atomic_replace(&path, b"new").unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn folders_that_are_missing_are_made_private_one_in_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("a/b"));
    make_private_dirs(&second.join("c")).unwrap();
    for made in [&first, &second, &second.join("c")] {
        assert_eq!(fs::metadata(made).unwrap().mode() & 0o777, 0o700, "{made:?}");
    }
    make_private_dirs(&second).unwrap();
    fs::write(first.join("file"), "").unwrap();
    for in_the_way in [first.join("file"), first.join("file/d")] {
        assert!(make_private_dirs(&in_the_way).is_err(), "{in_the_way:?}");
    }
}

#[test]
fn only_a_regular_file_of_ours_alone_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "12345").unwrap();
    for mode in [0o640, 0o604, 0o610, 0o660, 0o601] {
        with_mode(&path, mode);
        let error = read_private(&path, 5).unwrap_err().to_string();
        assert!(error.contains(&format!("mode {mode:03o}")) && error.contains("chmod 600"), "{error}");
    }
    for mode in [0o600, 0o400] {
        with_mode(&path, mode);
        assert_eq!(read_private(&path, 5).unwrap(), b"12345");
    }
    assert!(read_private(&path, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
    assert!(read_private(folder.path(), 5).unwrap_err().to_string().contains("regular file"));
}

#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("file"), folder.path().join("link"));
    atomic_replace(&path, b"x").unwrap();
    symlink(&path, &link).unwrap();
    assert!(read_private(&link, 1).unwrap_err().to_string().contains("symbolic link"));
    fs::create_dir(folder.path().join("dir")).unwrap();
    symlink(folder.path().join("dir"), folder.path().join("dir-link")).unwrap();
    let error = create_private_dir(&folder.path().join("dir-link")).unwrap_err();
    assert!(error.to_string().contains("link"), "{error}");
    let error = create_private_dir(&path).unwrap_err().to_string();
    assert!(error.ends_with("is not a folder; move it away"), "{error}");
}

#[test]
fn a_named_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0);
    made.unwrap();
    assert!(read_private(&path, 1).unwrap_err().to_string().contains("regular file"));
}

#[test]
fn a_public_file_is_read_through_links_and_only_as_far_as_it_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&path, "12345").unwrap();
    with_mode(&path, 0o644);
    symlink(&path, &link).unwrap();
    assert_eq!(read_public(&link, 5).unwrap(), b"12345");
    assert!(read_public(&link, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    for endless in [pipe.as_path(), Path::new("/dev/zero")] {
        assert!(read_public(endless, 5).unwrap_err().to_string().contains("regular file"));
    }
}

#[test]
fn what_is_missing_is_told_apart_from_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_eq!(read_private(&missing, 1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(remove_durably(&missing).unwrap_err().kind(), ErrorKind::NotFound);
    atomic_replace(&missing, b"x").unwrap();
    remove_durably(&missing).unwrap();
    assert_eq!(read_private(&missing, 1).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_of_another_owner_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    atomic_replace(&path, b"x").unwrap();
    // Only the superuser may give a file away; to anybody else, its files are foreign.
    let foreign =
        if chown(&path, Some(12_345), None).is_ok() { path.as_path() } else { Path::new("/proc/1/status") };
    let refused = read_private(foreign, 1_000_000).unwrap_err().to_string();
    assert!(refused.contains("belongs to user") && refused.contains("chown"), "{refused}");
}

#[test]
fn a_private_folder_is_made_once_and_refused_when_opened_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    create_private_dir(&path).unwrap();
    create_private_dir(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    with_mode(&path, 0o710);
    assert!(create_private_dir(&path).unwrap_err().to_string().contains("chmod 700"));
}

#[test]
fn only_unfinished_files_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".unfinished-1"), "").unwrap();
    fs::write(folder.path().join("kept"), "").unwrap();
    remove_unfinished(folder.path()).unwrap();
    remove_unfinished(&folder.path().join("missing")).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
}

#[test]
fn a_key_that_cannot_be_wiped_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new, target] = ["old", "new", "target"].map(|name| folder.path().join(name));
    fs::write(&new, "new").unwrap();
    fs::write(&target, "kept").unwrap();
    symlink(&target, &old).unwrap();
    assert!(replace_and_wipe(&old, &new).is_err());
    assert_eq!((fs::read(&target).unwrap(), fs::read(&new).unwrap()), (b"kept".to_vec(), b"new".to_vec()));
}

/// The folder of a secret as Kubernetes mounts it: `NAME` leads through `..data` to the file.
fn mounted(folder: &Path) -> std::path::PathBuf {
    fs::create_dir(folder.join("..1")).unwrap();
    fs::write(folder.join("..1/name"), "secret").unwrap();
    with_mode(&folder.join("..1/name"), 0o600);
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/name", folder.join("name")).unwrap();
    with_mode(folder, 0o1777);
    folder.join("name")
}

#[test]
fn a_secret_is_read_through_links_that_only_root_and_we_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = mounted(folder.path());
    assert_eq!(read_secret(&path, 10).unwrap(), b"secret");
    with_mode(folder.path(), 0o777);
    let error = read_secret(&path, 10).unwrap_err().to_string();
    assert!(error.contains("can be changed by other users") && error.contains("chmod go-w"), "{error}");
}

#[test]
fn a_secret_of_roots_may_be_read_by_others_and_changed_by_none() {
    // Every system has this file; for the superuser, a file of its own serves as well.
    let roots = Path::new("/etc/passwd");
    assert_eq!(fs::metadata(roots).unwrap().mode() & 0o777, 0o644);
    assert!(!read_secret(roots, 1_000_000).unwrap().is_empty());
    assert!(read_private(roots, 1_000_000).is_err());
}

#[test]
fn a_secret_of_ours_that_others_can_change_is_refused_by_its_own_name_and_by_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = mounted(folder.path());
    for mode in [0o662, 0o620] {
        with_mode(&folder.path().join("..1/name"), mode);
        for way in [&path, &folder.path().join("..1/name")] {
            let error = read_secret(way, 10).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{}: {error}", way.display());
        }
    }
}

#[test]
fn a_secret_behind_a_link_in_a_circle_or_to_nothing_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let link = |name: &str, target: &str| {
        symlink(target, folder.path().join(name)).unwrap();
        folder.path().join(name)
    };
    let error = read_secret(&link("circle", "circle"), 10).unwrap_err();
    assert!(error.to_string().contains("too many symbolic links"), "{error}");
    assert_eq!(read_secret(&link("nothing", "missing"), 10).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(read_secret(&folder.path().join("missing"), 10).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_secret_that_a_stranger_put_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = mounted(folder.path());
    // Only the superuser may give a file away, and so only it can try this.
    if chown(folder.path().join("..1/name"), Some(12_345), None).is_ok() {
        let error = read_secret(&path, 10).unwrap_err().to_string();
        assert!(error.contains("belongs to user 12345") && error.contains("root"), "{error}");
    }
}

#[test]
fn a_disk_that_fails_is_told_apart_however_its_error_is_wrapped() {
    let path = Path::new("file");
    for (errno, is_fault) in [(Errno::IO, true), (Errno::NOSPC, false), (Errno::ACCESS, false)] {
        let told = io::Error::from(errno);
        let wrapped = with_path(path, "cannot be read", &with_path(path, "cannot be opened", &told));
        assert_eq!([&told, &wrapped].map(is_fault_of_the_disk), [is_fault; 2], "{errno}");
    }
    assert!(!is_fault_of_the_disk(&io::Error::other("text")));
}
