//! A parsed document: its nodes in the order of the text, on a tape, with the text of its strings beside them.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use serde_json::{Number, Value};

/// Approximate bytes of JSON text per node: a member takes about thirty, and consists of two nodes.
const BYTES_PER_NODE: usize = 16;

/// A JSON document, in two allocations whatever its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    nodes: Vec<Node>,
    text: String,
}

/// One entry of the tape. The content of an array or object follows it, each key before its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    /// Its range in the text of the document.
    Text(Range<usize>),
    /// Number of nodes in it, including this one.
    Array(usize),
    /// Number of nodes in it, including this one.
    Object(usize),
}

impl Node {
    fn span(&self) -> usize {
        match self {
            Self::Array(span) | Self::Object(span) => *span,
            _ => 1,
        }
    }
}

impl Document {
    /// An empty document with capacity for `bytes` bytes of JSON text.
    pub(super) fn with_room_for(bytes: usize) -> Self {
        // A decoded string is never longer than its written form.
        Self { nodes: Vec::with_capacity(bytes / BYTES_PER_NODE + 1), text: String::with_capacity(bytes) }
    }

    pub(super) fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    pub(super) fn push_text(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.nodes.push(Node::Text(start..self.text.len()));
    }

    /// Begins an array or object, and returns its index on the tape.
    pub(super) fn open(&mut self) -> usize {
        self.nodes.push(Node::Null);
        self.nodes.len() - 1
    }

    /// Ends the array or object begun at `place`: it contains everything pushed since.
    pub(super) fn close(&mut self, place: usize, container: fn(usize) -> Node) {
        let span = self.nodes.len() - place;
        if let Some(node) = self.nodes.get_mut(place) {
            *node = container(span);
        }
    }

    fn push_value(&mut self, value: &Value) {
        match value {
            Value::Null => self.push(Node::Null),
            Value::Bool(flag) => self.push(Node::Bool(*flag)),
            Value::Number(number) => self.push(Node::Number(number.clone())),
            Value::String(text) => self.push_text(text),
            Value::Array(items) => {
                let place = self.open();
                items.iter().for_each(|item| self.push_value(item));
                self.close(place, Node::Array);
            }
            Value::Object(members) => {
                let place = self.open();
                for (key, member) in members {
                    self.push_text(key);
                    self.push_value(member);
                }
                self.close(place, Node::Object);
            }
        }
    }

    /// Its numbers, in the order of the text.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &Number> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Number(number) => Some(number),
            _ => None,
        })
    }

    /// The whole document.
    pub fn root(&self) -> Element<'_> {
        Element { nodes: &self.nodes, text: &self.text }
    }
}

impl From<&Value> for Document {
    fn from(value: &Value) -> Self {
        let mut document = Self::with_room_for(0);
        document.push_value(value);
        document
    }
}

/// One value of a document, with its content.
#[derive(Debug, Clone, Copy)]
pub struct Element<'d> {
    nodes: &'d [Node],
    text: &'d str,
}

impl<'d> Element<'d> {
    /// The value at a JSON pointer (RFC 6901), with the same result as [`Value::pointer`]. Linear in the members it
    /// passes.
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        let tokens = pointer.strip_prefix('/')?.split('/');
        tokens.map(unescaped).try_fold(self, |place, token| place.child(&token))
    }

    fn child(self, token: &str) -> Option<Self> {
        if self.is_array() { self.items().nth(index(token)?) } else { self.get(token) }
    }

    /// The member `key` of an object.
    pub fn get(self, key: &str) -> Option<Self> {
        self.members().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// The members of an object, in the order of the text; none if it is not an object.
    pub fn members(self) -> impl Iterator<Item = (&'d str, Self)> {
        let mut children = self.children(matches!(self.nodes.first(), Some(Node::Object(_))));
        iter::from_fn(move || Some((children.next()?.as_str()?, children.next()?)))
    }

    /// The items of an array; none if it is not an array.
    pub fn items(self) -> impl Iterator<Item = Self> {
        self.children(self.is_array())
    }

    fn children(self, wanted: bool) -> impl Iterator<Item = Self> {
        let mut rest = self.nodes.get(1..).filter(|_| wanted).unwrap_or_default();
        iter::from_fn(move || {
            let (nodes, after) = rest.split_at_checked(rest.first()?.span())?;
            rest = after;
            Some(Self { nodes, ..self })
        })
    }

    pub fn is_array(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Array(_)))
    }

    pub fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object(_)))
    }

    pub fn is_number(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Number(_)))
    }

    pub fn is_null(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Null))
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'d str> {
        match self.nodes.first() {
            Some(Node::Text(place)) => self.text.get(place.clone()),
            _ => None,
        }
    }

    /// A scalar as text: strings unquoted, numbers and booleans as in JSON.
    pub fn scalar(self) -> Option<Cow<'d, str>> {
        match self.nodes.first()? {
            Node::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Node::Number(number) => Some(Cow::Owned(number.to_string())),
            _ => self.as_str().map(Cow::Borrowed),
        }
    }

    /// The same value for `serde_json`, which does not keep the order of members.
    pub fn to_value(self) -> Value {
        match self.nodes.first() {
            None | Some(Node::Null) => Value::Null,
            Some(Node::Bool(flag)) => Value::Bool(*flag),
            Some(Node::Number(number)) => Value::Number(number.clone()),
            Some(Node::Text(_)) => Value::from(self.as_str()),
            Some(Node::Array(_)) => self.items().map(Self::to_value).collect(),
            Some(Node::Object(_)) => self.members().map(|(key, value)| (key, value.to_value())).collect(),
        }
    }
}

fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

/// Parses an array index, which must not have a sign or leading zeros (RFC 6901).
fn index(token: &str) -> Option<usize> {
    let is_plain = !token.starts_with('+') && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| is_plain)
}
