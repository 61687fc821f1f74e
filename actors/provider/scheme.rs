//! One way in which deliveries are authenticated.

use super::form::{JwtForm, Locator, TokenForm, When};
use super::signed::SignedScheme;

/// One way to authenticate, compiled.
#[derive(Debug)]
pub struct Scheme {
    /// Which deliveries it is for; all, where nothing is said.
    pub when: Option<When>,
    /// What proves a delivery to be the provider's own.
    pub proof: Proof,
    /// Where what identifies its deliveries stands, if they are signed; the digest of what is signed does otherwise.
    pub id_from: Vec<Locator>,
}

/// What proves that a delivery is the provider's own.
#[derive(Debug)]
pub enum Proof {
    /// A signature over content.
    Signed(Box<SignedScheme>),
    /// A token that both sides have.
    Token(TokenForm),
    /// A signed token.
    Jwt(JwtForm),
    /// Nothing does.
    None,
}
