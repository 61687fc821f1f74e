//! One way to authenticate deliveries.

use super::form::{JwtForm, Locator, TokenForm, When};
use super::signed::SignedScheme;

/// One way to authenticate, compiled.
#[derive(Debug)]
pub struct Scheme {
    /// Which deliveries it applies to; `None`: all.
    pub when: Option<When>,
    /// What proves that a delivery is the provider's own.
    pub proof: Proof,
    /// Where the signed identification of a delivery is found. If empty, the digest of the signed content identifies it.
    pub id_from: Vec<Locator>,
}

/// What proves that a delivery is the provider's own.
#[derive(Debug)]
pub enum Proof {
    /// A signature over content.
    Signed(Box<SignedScheme>),
    /// A token both sides know.
    Token(TokenForm),
    /// A signed token.
    Jwt(JwtForm),
    /// Nothing.
    None,
}
