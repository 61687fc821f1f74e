# The verbs of every day. `just --list` names them.

# Where files of sweeps that have no disk of their own lie: in memory, if the system has such a folder.
memory := if path_exists("/dev/shm") == "true" { "/dev/shm" } else { "/tmp" }

# Format, lints and tests.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test

# The demo, on a temporary state root.
demo:
    cargo run --release -- demo

# The slow sweeps in their long form.
sweep:
    PALYRA_TEST_LONG=1 cargo test --test it -- --nocapture --include-ignored

# The daemon beside a bare server under load (wrk); `just bench --help`. A whole run writes docs/performance.md.
bench *args:
    cargo bench --bench load -- {{args}}

# What the parts of the way in cost, each beside bare code.
micro *args:
    cargo bench --bench micro -- {{args}}

# Instructions of a delivery by step (valgrind), held to benches/instructions.toml; --update takes today's.
instructions *args:
    cargo bench --bench instructions -- {{args}}

# What lands or rejects a change.
ci:
    bash .ci/run

# Every fuzz target for as many seconds, from the vectors and profiles on.
fuzz seconds="60":
    bash fuzz/run {{seconds}}

# Tampering by chance on 10,000 events: 10,000 flipped bits, 1,000 edits, 1,000 clean verifications.
tampering:
    PALYRA_TEST_LONG=1 TMPDIR={{memory}} cargo test --profile bench -p palyra-actors --lib sweeps -- --nocapture

# Power cuts under load and under edits, each with its control (root, /dev/fuse, nbdfuse, eatmydata).
power-cut cuts="300":
    tests/rigs/power_cuts {{cuts}}

# 10,000 seeded histories of journal and replay guard with every accident; PALYRA_TEST_SEED=N repeats one.
simulate:
    PALYRA_TEST_LONG=1 TMPDIR={{memory}} cargo test --profile bench -p palyra-actors --lib simulation -- --nocapture

# Which changes no library test would notice (`cargo install cargo-mutants`); `just mutants -F files.rs` for one file.
mutants *args:
    CARGO_TARGET_DIR={{justfile_directory()}}/target/mutants cargo mutants -p palyra-actors {{args}}
