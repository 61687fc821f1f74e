//! Which build this is.

/// The version. One in which faults can be planted says so: benches and tests build it, and nobody should install it.
pub const VERSION: &str = if fail::has_failpoints() {
    concat!(env!("CARGO_PKG_VERSION"), "+failpoints")
} else {
    env!("CARGO_PKG_VERSION")
};

/// Warns of a build that is made for tests.
pub fn warn_of_test_build() {
    if fail::has_failpoints() {
        tracing::warn!(
            version = VERSION,
            "this is a test build, which can be made to fail through FAILPOINTS; install one made by `cargo build --release`"
        );
    }
}
