//! Measures the parts of the path of a delivery, each beside the minimal code for the same work on the same bytes.
//!
//! `cargo bench --bench micro [-- FILTER]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[allow(dead_code)]
mod delivery;

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use delivery::{Delivery, NOW, SECRET};
use ed25519_dalek::{Signature, VerifyingKey};
use futures_util::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use palyra_actors::clock::{ManualClock, SharedClock};
use palyra_actors::journal::{JournalActor, JournalConfig, JournalFiles, JournalHandle, NewRow, Writer};
use palyra_actors::replay_guard::{Observe, ReplayGuardActor, ReplayHandle, Seen};
use palyra_actors::supervision::WatchGuard;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rusqlite::Connection;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tempfile::TempDir;
use tokio::sync::watch;

/// One profile for each way to sign with a shared secret.
const MACS: [&str; 6] = ["github", "shopify", "stripe", "standard-webhooks", "hubspot-v3", "square"];
/// Rows per commit.
const GROUPS: [u64; 4] = [1, 8, 64, 256];
/// Deliveries in flight at once.
const SUBMITTED: u64 = 64;

criterion_group! {
    name = parts;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = macs, token, ed25519, judging, appends, submissions
}
criterion_main!(parts);

fn macs(criterion: &mut Criterion) {
    for name in MACS {
        let delivery = Delivery::of(name, SECRET.as_bytes(), None);
        compare_verify(criterion, name, &delivery, || {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
            mac.update(black_box(&delivery.raw));
            black_box(mac.finalize());
        });
    }
}

fn token(criterion: &mut Criterion) {
    let delivery = Delivery::of("gitlab", SECRET.as_bytes(), None);
    compare_verify(criterion, "gitlab", &delivery, || {
        let given = black_box(delivery.header("X-Gitlab-Token"));
        black_box(bool::from(given.ct_eq(black_box(SECRET.as_bytes()))));
    });
}

fn ed25519(criterion: &mut Criterion) {
    let private = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
    let pem = STANDARD.encode(private.as_ref());
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----\n", &pem[..64], &pem[64..]);
    let public = pair.public_key().as_ref();
    let delivery = Delivery::of("discord", hex::encode(public).as_bytes(), Some(pem.as_bytes()));
    let key = VerifyingKey::from_bytes(public.try_into().unwrap()).unwrap();
    let signature = hex::decode(delivery.header("X-Signature-Ed25519")).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    let signed = [delivery.header("X-Signature-Timestamp"), &delivery.raw].concat();
    compare_verify(criterion, "discord", &delivery, || {
        key.verify_strict(black_box(&signed), &signature).unwrap();
    });
}

fn compare_verify(criterion: &mut Criterion, name: &str, delivery: &Delivery, mut bare: impl FnMut()) {
    let body = delivery.body();
    let request = delivery.request(&body);
    let mut group = criterion.benchmark_group(format!("verify {name}"));
    group.bench_function("profile", |bench| bench.iter(|| delivery.verify(black_box(&request))));
    group.bench_function("bare", |bench| bench.iter(&mut bare));
    group.finish();
}

fn judging(criterion: &mut Criterion) {
    let delivery = Delivery::of_github();
    let body = delivery.body();
    let request = delivery.request(&body);
    let (verified, names) = (delivery.verify(&request), delivery.names(&request));
    let key = delivery.key(&verified, &request);
    let mut group = criterion.benchmark_group("judging");
    group.bench_function("parse", |bench| bench.iter(|| assert!(delivery.body().document().is_ok())));
    group.bench_function("describe", |bench| bench.iter(|| delivery.names(black_box(&request))));
    group.bench_function("replay key", |bench| bench.iter(|| delivery.key(&verified, black_box(&request))));
    group.bench_function("judge", |bench| bench.iter(|| delivery.judge(black_box(&body), &names, key)));
    group.bench_function("bare: serde_json alone", |bench| {
        bench.iter(|| serde_json::from_slice::<Value>(black_box(&delivery.raw)).unwrap());
    });
    group.finish();
}

fn appends(criterion: &mut Criterion) {
    let delivery = Delivery::of_github();
    let names = delivery.names(&delivery.request(&delivery.body()));
    let (folder, mut n) = (folder(), 0);
    let mut writer = Writer::open(&JournalFiles::in_folder(folder.path()), || 7, false, NOW).unwrap();
    let mut bare = bare_table(&folder);
    for rows in GROUPS {
        let mut next = || {
            n += rows;
            (n - rows..n).map(|n| delivery.row(&names, n)).collect::<Vec<_>>()
        };
        let mut group = criterion.benchmark_group(format!("append {rows}"));
        group.throughput(Throughput::Elements(rows));
        group.bench_function("journal", |bench| {
            bench.iter_batched(&mut next, |rows| append(&mut writer, rows), BatchSize::PerIteration);
        });
        group.bench_function("bare rusqlite", |bench| {
            bench.iter(|| insert(&mut bare, rows, &delivery.raw));
        });
        group.finish();
    }
}

fn append(writer: &mut Writer, rows: Vec<NewRow>) {
    assert!(writer.append(rows, NOW).unwrap().iter().all(Result::is_ok));
}

/// A folder on the disk that holds the build, not in a memory file system.
fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A plain table of bodies, with the same durability as the journal.
fn bare_table(folder: &TempDir) -> Connection {
    let db = Connection::open(folder.path().join("bare.db")).unwrap();
    let setup = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB)";
    db.execute_batch(setup).unwrap();
    db
}

fn insert(db: &mut Connection, rows: u64, body: &[u8]) {
    let transaction = db.transaction().unwrap();
    for _ in 0..rows {
        transaction.prepare_cached("INSERT INTO bodies (body) VALUES (?1)").unwrap().execute([body]).unwrap();
    }
    transaction.commit().unwrap();
}

/// A replay guard and its journal, set up as in the daemon.
fn guarded(arbiter: &ArbiterHandle, folder: &TempDir) -> ReplayHandle {
    let (journal, guard) = (JournalHandle::default(), ReplayHandle::default());
    // A time at which the replay windows of the deliveries are open.
    let clock: SharedClock = ManualClock::at(NOW);
    let config = JournalConfig {
        files: JournalFiles::in_folder(folder.path()),
        accept_rollback: false,
        clock: Arc::clone(&clock),
        random: || 7,
        head: watch::Sender::new(0),
    };
    let actor = JournalActor::open(config, WatchGuard::unwatched()).unwrap();
    journal.door.open(actix::Actor::start_in_arbiter(arbiter, |_| actor));
    guard.door.open(ReplayGuardActor::start(
        arbiter,
        journal,
        Seen::default(),
        clock,
        WatchGuard::unwatched(),
    ));
    guard
}

fn submissions(criterion: &mut Criterion) {
    let (system, arbiter, folder) = (actix_rt::System::new(), actix_rt::Arbiter::new(), folder());
    let guard = guarded(&arbiter.handle(), &folder);
    let delivery = Delivery::of_github();
    let names = delivery.names(&delivery.request(&delivery.body()));
    let submit = |n: u64| {
        let rows = (n - SUBMITTED..n).map(|n| delivery.row(&names, n));
        let submitted = rows.map(|row| guard.submit(row.event, row.claim.unwrap(), Arc::new(())));
        assert!(system.block_on(join_all(submitted)).iter().all(Result::is_ok));
    };
    let submitted_total = || system.block_on(guard.door.ask(Observe)).unwrap().submitted_total;
    let newest = Cell::new(0);
    let fresh = || {
        newest.set(newest.get() + SUBMITTED);
        submit(newest.get());
    };
    let mut group = criterion.benchmark_group("replay guard");
    group.throughput(Throughput::Elements(SUBMITTED));
    // With a filter, the next benchmark may be the only one, and it needs earlier deliveries.
    fresh();
    group.bench_function("submit, append, settle", |bench| bench.iter(fresh));
    let before = submitted_total();
    group.bench_function("submit what was seen", |bench| bench.iter(|| submit(newest.get())));
    assert_eq!(submitted_total(), before, "what was seen is not handed on");
    group.bench_function("bare: as many messages that do nothing", |bench| {
        bench.iter(|| system.block_on(join_all((0..SUBMITTED).map(|_| guard.door.ask(Observe)))));
    });
    group.finish();
    arbiter.stop();
}
