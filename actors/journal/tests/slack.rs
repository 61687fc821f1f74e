//! Which bytes of an SQLite file hold something (<https://sqlite.org/fileformat2.html>): a flipped bit in any other is
//! no change of what is stored.

/// Marks every byte of `file` that belongs to the header, a page's structure, a cell or its overflow.
pub(super) fn bytes_in_use(file: &[u8]) -> Vec<bool> {
    let mut map = Map { file, used: vec![false; file.len()], page_bytes: 0, is_of_table: false };
    map.page_bytes = map.number(16, 2);
    map.mark(0, 100);
    // What a reader does not look at, or reads as the same whatever one bit of it is: the versions needed to write and to read,
    // change counter, schema cookie, format of the schema, cache size, text encoding, what is reserved for later, the change
    // counter the size is valid for, and the version of the library that wrote last.
    for unread in [18..20, 24..28, 40..52, 56..60, 72..100] {
        unread.for_each(|at| map.used[at] = false);
    }
    let mut roots = vec![1];
    map.tree(1, &mut roots);
    map.is_of_table = true;
    let mut tree = 1;
    while tree < roots.len() {
        let root = roots[tree];
        map.tree(root, &mut Vec::new());
        tree += 1;
    }
    map.used
}

struct Map<'a> {
    file: &'a [u8],
    used: Vec<bool>,
    page_bytes: usize,
    /// Whether the tree is that of a table, and not the schema.
    is_of_table: bool,
}

impl Map<'_> {
    fn mark(&mut self, from: usize, count: usize) {
        self.used[from..from + count].fill(true);
    }

    fn number(&self, at: usize, bytes: usize) -> usize {
        self.file[at..at + bytes].iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
    }

    /// A varint and its length.
    fn varint(&self, at: usize) -> (usize, usize) {
        let mut value = 0;
        for length in 1..9 {
            let byte = self.file[at + length - 1];
            value = value << 7 | usize::from(byte & 0x7f);
            if byte < 0x80 {
                return (value, length);
            }
        }
        (value << 8 | usize::from(self.file[at + 8]), 9)
    }

    /// Marks the tree of `page`; roots of further trees are read from the schema when it is page 1's.
    fn tree(&mut self, page: usize, roots: &mut Vec<usize>) {
        let start = (page - 1) * self.page_bytes;
        let header = start + if page == 1 { 100 } else { 0 };
        let kind = self.file[header];
        let (is_inner, is_index) = (kind == 2 || kind == 5, kind == 2 || kind == 10);
        let (cells, header_bytes) = (self.number(header + 3, 2), if is_inner { 12 } else { 8 });
        self.mark(header, header_bytes + 2 * cells);
        let mut free = self.number(header + 1, 2);
        while free != 0 {
            self.mark(start + free, 4);
            free = self.number(start + free, 2);
        }
        for cell in 0..cells {
            let at = start + self.number(header + header_bytes + 2 * cell, 2);
            self.cell(at, is_inner, is_index, roots);
        }
        if is_inner {
            self.tree(self.number(header + 8, 4), roots);
        }
    }

    fn cell(&mut self, at: usize, is_inner: bool, is_index: bool, roots: &mut Vec<usize>) {
        let mut head = 0;
        if is_inner {
            let child = self.number(at, 4);
            head = 4;
            self.tree(child, roots);
        }
        if is_inner && !is_index {
            let (_, length) = self.varint(at + head);
            return self.mark(at, head + length);
        }
        let (payload, length) = self.varint(at + head);
        head += length;
        if !is_index {
            head += self.varint(at + head).1;
        }
        let local = self.local(payload, is_index);
        self.mark(at, head + local);
        if !is_index && self.is_of_table {
            // The type of the first column, an INTEGER PRIMARY KEY: SQLite takes the rowid and does not look.
            let (_, length) = self.varint(at + head);
            self.used[at + head + length] = false;
        }
        if !is_index {
            roots.extend(self.root_page(at + head));
        }
        if local < payload {
            self.mark(at + head + local, 4);
            self.overflow(self.number(at + head + local, 4), payload - local);
        }
    }

    /// Bytes of a payload that stand in the cell itself.
    fn local(&self, payload: usize, is_index: bool) -> usize {
        let usable = self.page_bytes;
        let max = if is_index { (usable - 12) * 64 / 255 - 23 } else { usable - 35 };
        let min = (usable - 12) * 32 / 255 - 23;
        if payload <= max {
            return payload;
        }
        let fitting = min + (payload - min) % (usable - 4);
        if fitting <= max { fitting } else { min }
    }

    fn overflow(&mut self, mut page: usize, mut left: usize) {
        while page != 0 {
            let start = (page - 1) * self.page_bytes;
            let here = left.min(self.page_bytes - 4);
            self.mark(start, 4 + here);
            left -= here;
            page = self.number(start, 4);
        }
    }

    /// The fourth column of a schema row: where a tree begins. For rows of any other table the answer is not used.
    fn root_page(&self, record: usize) -> Option<usize> {
        let (header_bytes, mut at) = self.varint(record);
        let (mut value, mut types) = (record + header_bytes, Vec::new());
        while at < header_bytes && types.len() < 4 {
            let (kind, length) = self.varint(record + at);
            types.push(kind);
            at += length;
        }
        let bytes = |kind: usize| match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            kind => (kind - 12) / 2,
        };
        let [a, b, c, root] = types[..] else { return None };
        value += bytes(a) + bytes(b) + bytes(c);
        let page = match root {
            9 => 1,
            1..=4 => self.number(value, root),
            _ => 0,
        };
        (page > 0).then_some(page)
    }
}
