//! Provider profiles and the engine that verifies deliveries from them: pure functions, no provider name in code.

/// placeholder
#[derive(Debug)]
pub struct Profile;
/// placeholder
#[derive(Debug)]
pub struct Catalogue;
