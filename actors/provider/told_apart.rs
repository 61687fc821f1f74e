//! What tells deliveries apart: the places that a signature fixes. Whoever captured a delivery can not make its
//! signature hold with another text there.
//!
//! To be signed is not enough. Parts are signed one after another, and where one ends is told by nothing but
//! what may stand in the next: `{json:/a}:{json:/b}` signs `1:2` and `3` as it signs `1` and `2:3`. So a part is
//! fixed only where the content can be read in one way: from either end, over parts whose end is known, and
//! what is left between them if it is one part.

use super::form::{Content, Locator, ProfileFile, TimeFormat};
use super::scheme::Proof;
use super::template::{Piece, Template};
use super::{Body, ContentKind};

/// What identifies deliveries that `proof` signs: of the locators that the profile names for it, those that are fixed.
pub fn of(proof: &Proof, file: &ProfileFile) -> Vec<Locator> {
    let id_form = &file.delivery_id;
    let named = match id_form.replay_key.is_empty() {
        true if id_form.signed => &id_form.from,
        _ => &id_form.replay_key,
    };
    named.iter().filter(|locator| fixes(proof, locator, &file.content)).cloned().collect()
}

/// Whether what `proof` verifies covers something of the delivery, be it not all of the body.
pub fn covers_content(proof: &Proof) -> bool {
    match proof {
        Proof::Signed(_) => true,
        Proof::Jwt(form) => form.body_sha256_claim.is_some(),
        Proof::Token(_) | Proof::None => false,
    }
}

/// Whether retries that are written anew are told apart where no id is signed: by the part of them that is, or by the id
/// that whoever has the token gives them.
pub fn tells_retries(proof: &Proof) -> bool {
    match proof {
        Proof::Signed(scheme) => !scheme.content.covers_body() && scheme.form.body_sha256_query.is_none(),
        Proof::Jwt(form) => form.body_sha256_claim.is_none(),
        Proof::Token(_) => true,
        Proof::None => false,
    }
}

/// Whether a signature of `proof` fixes the text at `locator`, where bodies are of the kinds in `content`.
pub fn fixes(proof: &Proof, locator: &Locator, content: &[Content]) -> bool {
    let kinds = Kinds::of(content);
    match proof {
        Proof::Signed(scheme) => {
            let time = scheme.form.timestamp.as_ref().map(|time| time.format);
            let fixed = fixed(&scheme.content, time, kinds);
            is_among(&fixed, locator, kinds)
        }
        Proof::Jwt(form) => form.body_sha256_claim.is_some() && kinds.are_told_apart && is_in_body(locator),
        Proof::Token(_) | Proof::None => false,
    }
}

/// Whether the text at `locator` is part of the body.
pub fn is_in_body(locator: &Locator) -> bool {
    match locator {
        Locator::Json(_) | Locator::JsonEach { .. } | Locator::Form(_) | Locator::FormJson { .. } => true,
        Locator::Join { from, .. } => from.iter().all(is_in_body),
        _ => false,
    }
}

/// The kinds of body that are taken. The `Content-Type` is not signed: where a body may be read in two ways, no place in
/// it is fixed. No JSON is a form, and no form JSON; a text may be either.
#[derive(Clone, Copy)]
struct Kinds {
    are_told_apart: bool,
    are_json: bool,
}

impl Kinds {
    fn of(content: &[Content]) -> Self {
        let all = |wanted| content.iter().all(|kind| (kind.kind() == ContentKind::Text) == wanted);
        let are_json = content.iter().all(|kind| kind.kind() == ContentKind::Json);
        Self { are_told_apart: all(true) || all(false), are_json }
    }
}

/// Bodies of which what is signed fixes every byte, and where they begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedBodies {
    /// All of them.
    All,
    /// Those that are JSON documents: whoever moves a byte from one to what is signed beside it leaves none.
    Json,
    /// None.
    None,
}

impl FixedBodies {
    /// Those of a scheme that signs `content`.
    pub fn of(content: &Template, time: Option<TimeFormat>) -> Self {
        let fixes_if = |are_json| {
            let mut fixed = fixed(content, time, Kinds { are_told_apart: true, are_json }).into_iter();
            fixed.any(|piece| matches!(piece, Piece::Body | Piece::BodySha256))
        };
        match (fixes_if(false), fixes_if(true)) {
            (true, _) => Self::All,
            (false, true) => Self::Json,
            (false, false) => Self::None,
        }
    }

    /// Whether `body` is one of them.
    pub fn body(self, body: &Body) -> bool {
        match self {
            Self::All => true,
            Self::Json => body.json().is_some(),
            Self::None => false,
        }
    }
}

/// The parts of what is signed of which beginning and end are known.
fn fixed(content: &Template, time: Option<TimeFormat>, kinds: Kinds) -> Vec<&Piece> {
    let pieces = content.0.as_slice();
    let known = |at: &usize| match pieces.get(*at) {
        Some(Piece::Body) => kinds.are_json && !is_beside_place(pieces, *at),
        piece => piece.is_some_and(ends_by_itself),
    };
    let known_backwards = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| pieces.get(before));
        match pieces.get(*at) {
            Some(Piece::Timestamp) => {
                time == Some(TimeFormat::Rfc3339) || before.is_none_or(|before| ends_digits(before, kinds))
            }
            _ => known(at),
        }
    };
    let first = (0..pieces.len()).take_while(known).count();
    let last = pieces.len() - (first..pieces.len()).rev().take_while(known_backwards).count();
    let is_open = |at: usize| last - first > 1 && (first..last).contains(&at);
    pieces.iter().enumerate().filter(|(at, _)| !is_open(*at)).map(|(_, piece)| piece).collect()
}

/// Whether a part tells itself where it ends: it is the same in every delivery, of one length, or an object or array in
/// canonical form, for none is the beginning or the end of another. A time in digits has one length that is fresh.
fn ends_by_itself(piece: &Piece) -> bool {
    matches!(
        piece,
        Piece::Literal(_)
            | Piece::Secret
            | Piece::Parameter(_)
            | Piece::Method
            | Piece::Timestamp
            | Piece::BodySha256
            | Piece::CanonicalJsonWithout(_)
    )
}

/// Whether a text of the request, which may hold anything, stands beside the part `at`, with nothing but white space
/// between. A document may have white space around it, which could be moved to that text; no URL or header ends with any.
fn is_beside_place(pieces: &[Piece], at: usize) -> bool {
    let says_something = |piece: &&Piece| !matches!(piece, Piece::Literal(text) if text.trim().is_empty());
    let (mut before, mut after) = (pieces.iter().take(at).rev(), pieces.iter().skip(at + 1));
    let is_place = |piece: Option<&Piece>| matches!(piece, Some(Piece::Place(_)));
    is_place(before.find(says_something)) || is_place(after.find(says_something))
}

/// Whether digits after `piece` begin there: a zero before them would change nothing of a time.
fn ends_digits(piece: &Piece, kinds: Kinds) -> bool {
    match piece {
        Piece::Literal(text) => !text.ends_with('0'),
        Piece::Body => kinds.are_json,
        Piece::CanonicalJsonWithout(_) => true,
        _ => false,
    }
}

fn is_among(fixed: &[&Piece], locator: &Locator, kinds: Kinds) -> bool {
    let holds = |piece: &&Piece| match (*piece, locator) {
        (Piece::Header(name), Locator::Header(other)) => name.eq_ignore_ascii_case(other),
        (Piece::Place(Locator::Json(name)), Locator::Json(other))
        | (Piece::Place(Locator::Form(name)), Locator::Form(other))
        | (Piece::Place(Locator::Query(name)), Locator::Query(other)) => name == other,
        (Piece::Body | Piece::BodySha256, _) => kinds.are_told_apart && is_in_body(locator),
        (Piece::CanonicalJsonWithout(left_out), Locator::Json(pointer)) => !is_within(pointer, left_out),
        _ => false,
    };
    match locator {
        Locator::Join { from, .. } => from.iter().all(|part| is_among(fixed, part, kinds)),
        _ => fixed.iter().any(holds),
    }
}

fn is_within(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
