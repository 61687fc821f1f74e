//! The version of this build.

/// The version. A build in which faults can be planted says so: it is made for benches and tests, and nobody should install
/// it.
pub const VERSION: &str = if fail::has_failpoints() {
    concat!(env!("CARGO_PKG_VERSION"), "+failpoints")
} else {
    env!("CARGO_PKG_VERSION")
};

/// Warns if this is a build made for tests.
pub fn warn_of_test_build() {
    if fail::has_failpoints() {
        tracing::warn!(
            version = VERSION,
            "this is a test build, which can be made to fail through FAILPOINTS; install one made by `cargo build --release`"
        );
    }
}
