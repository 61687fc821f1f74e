//! The fast path for valid text. Anything it does not accept is left to `serde_json`, which reports the error and its
//! place. Numbers and strings that are not simple are parsed by `serde_json` here too.

use std::borrow::Cow;

use serde_json::Number;

use super::document::{Document, Node};
use super::open_objects::{ObjectKeys, OpenKeys};

/// Levels of nesting; fewer than `serde_json` accepts.
const DEPTH_MAX: usize = 120;
/// Digits of a whole number that certainly fits into 64 bits.
const PLAIN_DIGITS_MAX: usize = 18;

/// Parses a document; `None` does not mean that the text is invalid.
pub fn document(text: &str) -> Option<Document> {
    let document = Document::with_room_for(text.len());
    let mut reader = Reader { text, at: 0, depth: 0, document, keys: OpenKeys::default() };
    reader.value()?;
    reader.token().is_none().then_some(reader.document)
}

struct Reader<'t> {
    text: &'t str,
    /// Index of the next byte.
    at: usize,
    depth: usize,
    document: Document,
    keys: OpenKeys<'t>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not white space, without consuming it.
    fn token(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                token => return Some(*token),
            }
        }
    }

    fn take(&mut self, token: u8) -> bool {
        let is_next = self.token() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self) -> Option<()> {
        match self.token()? {
            b'"' => self.string().map(|text| self.document.push_text(&text)),
            b'{' => self.container(Self::members, Node::Object),
            b'[' => self.container(Self::items, Node::Array),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            b'n' => self.word("null", Node::Null),
            _ => self.number(),
        }
    }

    fn container(&mut self, read: fn(&mut Self) -> Option<()>, node: fn(usize) -> Node) -> Option<()> {
        self.at += 1;
        self.depth += 1;
        let place = self.document.open();
        (self.depth <= DEPTH_MAX).then_some(())?;
        read(self)?;
        self.document.close(place, node);
        self.depth -= 1;
        Some(())
    }

    fn members(&mut self) -> Option<()> {
        let mut keys = self.keys.open();
        self.each(b'}', |reader| reader.member(&mut keys))?;
        self.keys.close(keys);
        Some(())
    }

    fn member(&mut self, keys: &mut ObjectKeys<'t>) -> Option<()> {
        (self.token()? == b'"').then_some(())?;
        let key = self.string()?;
        self.document.push_text(&key);
        self.keys.insert(keys, key).then_some(())?;
        self.take(b':').then_some(())?;
        self.value()
    }

    fn items(&mut self) -> Option<()> {
        self.each(b']', Self::value)
    }

    /// Parses the elements up to `end`, separated by commas.
    fn each(&mut self, end: u8, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.take(end) {
            return Some(());
        }
        loop {
            read(self)?;
            if !self.take(b',') {
                return self.take(end).then_some(());
            }
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Option<()> {
        self.rest().starts_with(word.as_bytes()).then_some(())?;
        self.at += word.len();
        self.document.push(node);
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let rest = self.rest();
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let written = rest.get(..length)?;
        let number = plain_number(written).or_else(|| serde_json::from_slice(written).ok())?;
        self.document.push(Node::Number(number));
        self.at += length;
        Some(())
    }

    /// Parses the string whose opening quote is next.
    fn string(&mut self) -> Option<Cow<'t, str>> {
        let start = self.at;
        self.at += 1;
        let mut is_plain = true;
        loop {
            self.at += plain_bytes(self.rest());
            match self.text.as_bytes().get(self.at)? {
                b'"' => break self.at += 1,
                b'\\' => is_plain = false,
                _ => return None,
            }
            self.at += 2;
        }
        if is_plain {
            return self.text.get(start + 1..self.at - 1).map(Cow::Borrowed);
        }
        serde_json::from_str(self.text.get(start..self.at)?).ok().map(Cow::Owned)
    }
}

/// A short whole number without a sign.
fn plain_number(digits: &[u8]) -> Option<Number> {
    let is_plain = digits.iter().all(u8::is_ascii_digit)
        && (1..=PLAIN_DIGITS_MAX).contains(&digits.len())
        && (digits.len() == 1 || digits.first() != Some(&b'0'));
    is_plain.then(|| digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0')).into())
}

/// Number of bytes before a quote, a backslash or a control character; eight bytes are examined at a time (SWAR).
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let (words, _) = bytes.as_chunks::<8>();
    let mut read = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest high bit set is that of the first such byte, because borrows propagate upwards.
        let below = |value: u64, bound: u64| value.wrapping_sub(ONES * bound) & !value;
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let found = (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & HIGHS;
        if found != 0 {
            return read + (found.trailing_zeros() / 8) as usize;
        }
        read += 8;
    }
    let rest = bytes.get(read..).unwrap_or_default();
    read + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}
