use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use actix::Addr;
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::limits::{SECRET_BYTES_MAX, SECRET_CACHE_SECONDS};
use crate::provider::Catalogue;
use crate::supervision::Exited;

struct Running {
    folder: TempDir,
    clock: Arc<ManualClock>,
    journal: Arc<Recorder>,
    resolver: Arc<Resolver>,
    vault: Addr<VaultActor>,
    keys: SecretCache,
    exits: mpsc::UnboundedReceiver<Exited>,
}

fn start_with(recorder: Recorder) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let (clock, journal) = (ManualClock::at(1_000_000), Arc::new(recorder));
    let (report_to, exits) = mpsc::unbounded_channel();
    let (dir, pins) = (folder.path().join("vault"), folder.path().join("anchor/vault"));
    let store = Store::open(VaultConfig { dir, pins }, clock.clone()).unwrap();
    let audit = Arc::new(Shared(Arc::clone(&journal)));
    let (keys, watch) = (SecretCache::default(), WatchGuard::new("vault", 1, report_to));
    let resolver = Arc::new(Resolver::new(store, clock.clone(), audit, keys.clone()));
    let vault = VaultActor::new(Arc::clone(&resolver), watch).start();
    Running { resolver, vault, keys, folder, clock, journal, exits }
}

fn start() -> Running {
    start_with(Recorder::default())
}

impl Running {
    async fn put(&self, name: &str, value: &str) -> SecretEntry {
        let put = Put { vault_ref: vault_ref(name), value: secret(value) };
        self.vault.send(put).await.unwrap().unwrap()
    }

    async fn resolve(&self, name: &str) -> Result<Arc<SecretVersions>, VaultError> {
        self.vault.send(Resolve(vault_ref(name))).await.unwrap()
    }

    async fn probe(&self, name: &str) -> SecretStatus {
        self.vault.send(Probe { vault_ref: vault_ref(name), profile: None }).await.unwrap()
    }

    /// What a probe for the profile of `provider` says.
    async fn probe_for(&self, provider: &str, name: &str) -> SecretStatus {
        let catalogue = Catalogue::built_in().unwrap();
        let profile = Some(Arc::clone(catalogue.get(provider).unwrap()));
        self.vault.send(Probe { vault_ref: vault_ref(name), profile }).await.unwrap()
    }

    async fn observe(&self) -> VaultSnapshot {
        self.vault.send(Observe).await.unwrap()
    }

    /// Waits until `count` secrets are read and their events, which hold on to the journal, wait for its gate.
    async fn until_reads_wait_for_the_journal(&self, count: usize) {
        const OTHER_HOLDERS: usize = 2;
        while Arc::strong_count(&self.journal) < OTHER_HOLDERS + count {
            tokio::task::yield_now().await;
        }
    }

    /// A private file beside the vault, and the reference to it.
    fn file(&self, name: &str, content: &[u8]) -> (PathBuf, String) {
        let path = self.folder.path().join(name);
        crate::files::atomic_replace(&path, content).unwrap();
        let text = format!("file:{}", path.display());
        (path, text)
    }
}

#[actix::test]
async fn every_change_reaches_the_next_answer() {
    let running = start();
    let seen = async || values(&running.resolve("global/a").await.unwrap());
    running.put("global/a", "one").await;
    assert_eq!(seen().await, [(1, "one".to_owned())]);
    let rotate = Rotate { vault_ref: vault_ref("global/a"), value: secret("two"), users: Vec::new() };
    running.vault.send(rotate).await.unwrap().unwrap();
    assert_eq!(seen().await, [(2, "two".to_owned()), (1, "one".to_owned())]);
    running.vault.send(Retire(vault_ref("global/a"))).await.unwrap().unwrap();
    assert_eq!(seen().await, [(2, "two".to_owned())]);
    assert_eq!(running.vault.send(List).await.unwrap().unwrap().len(), 1);
    running.vault.send(Delete(vault_ref("global/a"))).await.unwrap().unwrap();
    assert!(matches!(running.resolve("global/a").await, Err(VaultError::NotFound(_))));
}

#[actix::test]
async fn a_stored_secret_is_read_and_journaled_once() {
    let running = start();
    running.put("global/a", CANARY).await;
    for _ in 0..3 {
        assert_eq!(current(&running.resolve("global/a").await.unwrap()), CANARY);
    }
    running.clock.advance_ms(1_000 * 3_600 * 24 * 365);
    running.resolve("global/a").await.unwrap();
    let snapshot = running.observe().await;
    assert_eq!((snapshot.reads_total, snapshot.cache_hits_total, snapshot.cached), (1, 3, 1));
    let events = running.journal.events.lock().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].name, "vault.secret.read");
    assert_eq!(events[0].details["vault_ref"], "global/a");
    assert_eq!(events[0].details["version"], 1);
    assert!(!format!("{events:?}").contains(CANARY));
}

#[actix::test]
async fn the_answer_waits_until_the_read_is_journaled() {
    let gate = Arc::new(Semaphore::new(0));
    let running = start_with(Recorder { gate: Some(Arc::clone(&gate)), ..Recorder::default() });
    running.put("global/a", "v").await;
    let mut asked = Box::pin(running.resolve("global/a"));
    assert!(asked.as_mut().now_or_never().is_none());
    running.until_reads_wait_for_the_journal(1).await;
    assert!(asked.as_mut().now_or_never().is_none());
    assert_eq!((running.journal.count(), running.observe().await.cached), (0, 0));
    gate.add_permits(1);
    assert!(asked.await.is_ok());
    assert_eq!(running.journal.count(), 1);
}

#[actix::test]
async fn a_read_that_cannot_be_journaled_is_not_answered_nor_kept() {
    let running = start_with(Recorder { refuses: true, ..Recorder::default() });
    running.put("global/a", CANARY).await;
    let refused = running.resolve("global/a").await.err().unwrap();
    assert!(matches!(refused, VaultError::Unavailable { .. }));
    assert!(all_texts(&refused).contains("journal is poisoned") && !all_texts(&refused).contains(CANARY));
    let snapshot = running.observe().await;
    assert_eq!((snapshot.cached, snapshot.failures_total), (0, 1));
}

#[actix::test]
async fn all_who_ask_at_once_share_one_read_and_one_row() {
    let gate = Arc::new(Semaphore::new(0));
    let running = start_with(Recorder { gate: Some(Arc::clone(&gate)), ..Recorder::default() });
    running.put("global/a", "v").await;
    let asked: Vec<_> = (0..100).map(|_| running.vault.send(Resolve(vault_ref("global/a")))).collect();
    // More permits than one, so that a second read would be journaled too.
    let open_later = async {
        running.observe().await;
        gate.add_permits(100);
    };
    let (answers, ()) = futures_util::join!(futures_util::future::join_all(asked), open_later);
    assert!(answers.into_iter().all(|answer| current(&answer.unwrap().unwrap()) == "v"));
    assert_eq!((running.journal.count(), running.observe().await.reads_total), (1, 1));
}

#[actix::test]
async fn a_read_overtaken_by_a_change_is_not_kept() {
    let gate = Arc::new(Semaphore::new(0));
    let running = start_with(Recorder { gate: Some(Arc::clone(&gate)), ..Recorder::default() });
    running.put("global/a", "old").await;
    let overtaken = running.vault.send(Resolve(vault_ref("global/a")));
    running.until_reads_wait_for_the_journal(1).await;
    running.put("global/a", "new").await;
    gate.add_permits(2);
    assert_eq!(current(&overtaken.await.unwrap().unwrap()), "old");
    assert_eq!(current(&running.resolve("global/a").await.unwrap()), "new");
}

#[actix::test]
async fn a_read_overtaken_by_a_change_does_not_end_the_read_that_follows_it() {
    let gate = Arc::new(Semaphore::new(0));
    let running = start_with(Recorder { gate: Some(Arc::clone(&gate)), ..Recorder::default() });
    running.put("global/a", "old").await;
    let overtaken = running.vault.send(Resolve(vault_ref("global/a")));
    running.until_reads_wait_for_the_journal(1).await;
    running.put("global/a", "new").await;
    let following = running.vault.send(Resolve(vault_ref("global/a")));
    running.until_reads_wait_for_the_journal(2).await;
    gate.add_permits(1);
    assert_eq!(current(&overtaken.await.unwrap().unwrap()), "old");
    gate.add_permits(1);
    assert_eq!(current(&following.await.unwrap().unwrap()), "new");
    assert_eq!(current(&running.resolve("global/a").await.unwrap()), "new");
    assert_eq!(running.journal.count(), 2);
}

#[actix::test]
async fn a_change_that_outlives_its_actor_reaches_the_next_answer_all_the_same() {
    let running = start();
    running.put("global/a", "old").await;
    let (go_on, told) = std::sync::mpsc::channel();
    let changing = Arc::clone(&running.resolver).change(vault_ref("global/a"), move |store, name| {
        told.recv().unwrap();
        store.put(name, secret("new"))
    });
    assert!(changing.now_or_never().is_none(), "who waits for it goes, as with an actor that panics");
    assert_eq!(current(&running.resolve("global/a").await.unwrap()), "old");
    go_on.send(()).unwrap();
    let is_new = async {
        while current(&running.resolve("global/a").await.unwrap()) == "old" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), is_new).await.unwrap();
}

#[actix::test]
async fn a_file_is_read_again_when_its_time_in_the_cache_is_over_or_the_clock_goes_back() {
    let running = start();
    let (path, name) = running.file("secret", b"one\n");
    assert_eq!(current(&running.resolve(&name).await.unwrap()), "one");
    crate::files::atomic_replace(&path, b"two\n").unwrap();
    running.clock.advance_ms(SECRET_CACHE_SECONDS * 1_000 - 1);
    assert_eq!(current(&running.resolve(&name).await.unwrap()), "one");
    running.clock.advance_ms(1);
    assert_eq!(current(&running.resolve(&name).await.unwrap()), "two");
    crate::files::atomic_replace(&path, b"three").unwrap();
    running.clock.set(1);
    assert_eq!(current(&running.resolve(&name).await.unwrap()), "three");
    fs::remove_file(&path).unwrap();
    running.clock.advance_ms(SECRET_CACHE_SECONDS * 1_000);
    assert!(matches!(running.resolve(&name).await, Err(VaultError::NotFound(_))));
    assert_eq!((running.journal.count(), running.observe().await.cached), (3, 0));
}

#[actix::test]
async fn one_trailing_newline_of_a_file_is_dropped_and_no_other_byte() {
    let running = start();
    for (index, (content, value)) in
        [("v", "v"), ("v\n", "v"), ("v\n\n", "v\n"), (" v \n", " v "), ("\nv", "\nv")].into_iter().enumerate()
    {
        let (_, name) = running.file(&format!("f{index}"), content.as_bytes());
        assert_eq!(current(&running.resolve(&name).await.unwrap()), value, "{content:?}");
    }
}

#[actix::test]
async fn a_variable_of_the_environment_is_a_secret_with_one_version() {
    let running = start();
    let read = running.resolve("env:PATH").await.unwrap();
    assert_eq!(values(&read), [(1, std::env::var("PATH").unwrap())]);
}

#[actix::test]
async fn there_are_many_ways_to_have_no_secret_and_none_is_answered_with_one() {
    let running = start();
    let mut ways: Vec<(String, &str)> = Vec::new();
    let blanks: [&[u8]; 8] = [b"", b"\n", b" ", b"\t\n", b"\r\n", b"\0", b"\0\n", b" \0 \0\n\n"];
    for (index, blank) in blanks.into_iter().enumerate() {
        ways.push((running.file(&format!("blank{index}"), blank).1, "blank"));
    }
    let (path, shared) = running.file("shared", CANARY.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    ways.push((shared, "chmod 600"));
    let link = running.folder.path().join("link");
    symlink(&path, &link).unwrap();
    ways.push((format!("file:{}", link.display()), "chmod 600"));
    ways.push((running.file("long", &vec![b'v'; SECRET_BYTES_MAX + 1]).1, "larger"));
    ways.push((running.file("longer", &vec![b'v'; SECRET_BYTES_MAX + 2]).1, "larger"));
    ways.push((format!("file:{}", running.folder.path().display()), "regular file"));
    ways.push((format!("file:{}/missing", running.folder.path().display()), "no secret"));
    ways.push(("file:/dev/null".to_owned(), "not available"));
    ways.push(("global/never-stored".to_owned(), "no secret"));
    ways.push(("env:PALYRA_TEST_NEVER_SET".to_owned(), "no secret"));
    ways.push(("hashivault:secret/github#hmac".to_owned(), "not supported in this version"));
    let vault = running.folder.path().join("vault");
    for (key, content) in [("empty", &b""[..]), ("text", CANARY.as_bytes())] {
        crate::files::atomic_replace(&vault.join(format!("global~{key}.age")), content).unwrap();
        ways.push((format!("global/{key}"), "was changed or damaged since the vault wrote it"));
    }
    fs::create_dir(vault.join("global~folder.age")).unwrap();
    ways.push(("global/folder".to_owned(), "regular file"));

    assert!(ways.len() >= 20);
    for (name, reason) in ways {
        let refused = running.resolve(&name).await.err().unwrap_or_else(|| panic!("{name} is answered"));
        assert!(all_texts(&refused).contains(reason), "{name}: {refused:?}");
        assert!(!all_texts(&refused).contains(CANARY), "{name}");
        assert_ne!(running.probe(&name).await, SecretStatus::Found, "{name}");
    }
    assert_eq!((running.journal.count(), running.observe().await.cached), (0, 0));
}

#[test]
fn an_unset_or_oversized_variable_is_no_secret() {
    let name = vault_ref("env:X");
    let read = |value: Option<Vec<u8>>| {
        super::super::env_and_file::from_variable(&name, value.map(OsString::from_vec))
    };
    assert!(matches!(read(None), Err(VaultError::NotFound(_))));
    assert!(matches!(read(Some(vec![b'v'; SECRET_BYTES_MAX + 1])), Err(VaultError::TooLarge(_))));
    assert!(read(Some(vec![0xff, b'v'])).unwrap().matches(&[0xff, b'v']));
    assert!(read(Some(b"  ".to_vec())).unwrap().is_blank());
}

#[test]
fn one_line_end_after_the_value_of_a_variable_is_no_part_of_it() {
    let name = vault_ref("env:X");
    for (value, expected) in [("v\n", "v"), ("v\n\n", "v\n"), ("v ", "v "), ("v", "v")] {
        let read = super::super::env_and_file::from_variable(&name, Some(value.into())).unwrap();
        assert!(read.matches(expected.as_bytes()), "{value:?}");
    }
}

#[actix::test]
async fn probing_tells_without_keeping_or_journaling() {
    let running = start();
    running.put("global/a", "v").await;
    assert_eq!(running.probe("global/a").await, SecretStatus::Found);
    assert_eq!(running.probe("global/b").await, SecretStatus::NotFound);
    let unavailable = running.probe("hashivault:a/b#c").await;
    assert!(matches!(unavailable, SecretStatus::Unavailable(text) if text.contains("not supported")));
    assert_eq!((running.journal.count(), running.observe().await.cached), (0, 0));
}

/// The certificate of the vectors, which is valid from 2025-01-01 to 2035-01-01.
fn certificate() -> String {
    let line = include_str!("../../../tests/vectors/aws-sns.jsonl").lines().next().unwrap();
    let case: serde_json::Value = serde_json::from_str(line).unwrap();
    case["public_key"].as_str().unwrap().to_owned()
}

#[actix::test]
async fn a_certificate_is_of_use_while_it_is_valid() {
    let running = start();
    running.put("global/a", &certificate()).await;
    for (now_s, told) in [
        (1_735_689_599, "not valid before 2025-01-01T00:00:00Z"),
        (1_735_689_600, ""),
        (2_051_222_400, ""),
        (2_051_222_401, "expired: it was valid until 2035-01-01T00:00:00Z"),
    ] {
        running.clock.set(now_s * 1_000);
        match running.probe_for("aws-sns", "global/a").await {
            SecretStatus::Found => assert_eq!(told, "", "{now_s}"),
            SecretStatus::Unusable { key, .. } => {
                assert!(!told.is_empty() && key.reason.contains(told), "{key:?}")
            }
            other => panic!("{now_s}: {other:?}"),
        }
    }
}

#[actix::test]
async fn of_a_change_that_broke_off_nobody_says_that_nothing_was_changed() {
    let running = start();
    running.put("global/a", "one").await;
    let changing = Arc::clone(&running.resolver).change(vault_ref("global/a"), |store, name| {
        store.put(name, secret("two")).map(|entry| assert!(entry.vault_ref.is_empty(), "a planted panic"))
    });
    let broken_off = changing.await.unwrap_err();
    assert!(matches!(&broken_off, VaultError::Unknown(name) if name.as_str() == "global/a"), "{broken_off}");
    assert!(broken_off.hint().contains("palyra vault list"), "{}", broken_off.hint());
    assert_eq!(current(&running.resolve("global/a").await.unwrap()), "two");
}

#[actix::test]
async fn a_secret_that_was_changed_is_read_again() {
    let running = start();
    running.put("global/a", "one").await;
    running.resolve("global/a").await.unwrap();
    running.put("global/a", "two").await;
    assert_eq!(running.observe().await.cached, 0);
    running.resolve("global/a").await.unwrap();
    assert_eq!(running.journal.count(), 2);
}

#[actix::test]
async fn closing_ends_the_actor_as_asked() {
    let mut running = start();
    running.vault.send(Close).await.unwrap();
    let exited = running.exits.recv().await.unwrap();
    assert_eq!((exited.name.as_str(), exited.ended), ("vault", Ended::Asked));
    assert!(running.vault.send(Observe).await.is_err());
}

#[actix::test]
async fn what_is_known_is_published_until_it_changes_or_the_vault_closes() {
    let running = start();
    let known = |name: &str| running.keys.get(&vault_ref(name), 1_000_000).is_some();
    running.put("global/a", "one").await;
    assert!(!known("global/a"), "only what was resolved, and so journaled, is known");
    running.resolve("global/a").await.unwrap();
    assert!(known("global/a") && !known("global/b"));
    running.put("global/a", "two").await;
    assert!(!known("global/a"));
    running.resolve("global/a").await.unwrap();
    running.vault.send(Close).await.unwrap();
    assert!(!known("global/a"));
}
