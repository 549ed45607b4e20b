//! Drain's tree: by the number of tokens, then by the first tokens, to a short list of rows.
//!
//! Finding a leaf takes one step per level; a leaf holds at most so many rows. So a search costs
//! the same however many templates there are. Leaves that empty themselves go, and so do the
//! nodes that led to them.

use super::mask::{TOKENS_MAX, WILD};

/// No node.
const NONE: u32 = u32::MAX;

/// A row of a leaf, or a cluster in Drain's words: which one. Numbers are given in order of
/// creation and never again.
pub(super) type Serial = u64;

/// The tree. Tokens are hashes here.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// How many of the first tokens lead to a leaf.
    levels: usize,
    children_max: usize,
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// The node for each number of tokens.
    roots: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Node {
    parent: u32,
    /// The token that leads here from the parent; of a root, the number of tokens.
    key: u64,
    /// By token, sorted.
    children: Vec<(u64, u32)>,
    rows: Vec<Serial>,
    /// The tokens of all rows, one row after the other.
    cells: Vec<u64>,
}

/// The row of a leaf that is most like a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Best {
    pub(super) row: usize,
    /// How many tokens are equal to the line's and no wildcards.
    pub(super) same: usize,
    /// How many are wildcards.
    pub(super) wild: usize,
    /// Whether the row is the line, token by token.
    pub(super) equal: bool,
}

impl Tree {
    pub(super) fn new(levels: usize, children_max: usize) -> Self {
        let roots = vec![NONE; TOKENS_MAX + 1];
        Tree { levels, children_max, nodes: Vec::new(), free: Vec::new(), roots }
    }

    fn path<'a>(&self, tokens: &'a [u64]) -> &'a [u64] {
        &tokens[..self.levels.min(tokens.len() - 1)]
    }

    fn child(&self, node: u32, key: u64) -> Option<u32> {
        let children = &self.nodes[node as usize].children;
        let place = children.binary_search_by_key(&key, |child| child.0).ok()?;
        Some(children[place].1)
    }

    /// The leaf in which rows like `tokens` are, if there is one. A child of the very token goes
    /// before the wildcard's.
    pub(super) fn leaf(&self, tokens: &[u64]) -> Option<u32> {
        let mut node = self.roots[tokens.len()];
        if node == NONE {
            return None;
        }
        for token in self.path(tokens) {
            node = self.child(node, *token).or_else(|| self.child(node, WILD))?;
        }
        Some(node)
    }

    /// The leaf into which a row of `tokens` goes, made if need be.
    ///
    /// A token that `varies` (it holds a digit) gets no child of its own, nor does any once the
    /// node has as many as it may; the last child is kept for the wildcard.
    pub(super) fn grow(&mut self, tokens: &[u64], varies: impl Fn(usize) -> bool) -> u32 {
        let mut node = self.roots[tokens.len()];
        if node == NONE {
            node = self.add(NONE, tokens.len() as u64);
            self.roots[tokens.len()] = node;
        }
        for (place, token) in self.path(tokens).iter().enumerate() {
            let next = match self.child(node, *token) {
                Some(next) => next,
                None => {
                    let count = self.nodes[node as usize].children.len();
                    let kept = usize::from(self.child(node, WILD).is_none());
                    let room = count + kept < self.children_max;
                    let key = if room && !varies(place) { *token } else { WILD };
                    match self.child(node, key) {
                        Some(next) => next,
                        None => self.add(node, key),
                    }
                }
            };
            node = next;
        }
        node
    }

    fn add(&mut self, parent: u32, key: u64) -> u32 {
        let node = Node { parent, key, children: vec![], rows: vec![], cells: vec![] };
        let place = match self.free.pop() {
            Some(place) => {
                self.nodes[place as usize] = node;
                place
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        if parent != NONE {
            let children = &mut self.nodes[parent as usize].children;
            let at = children.partition_point(|child| child.0 < key);
            children.insert(at, (key, place));
        }
        place
    }

    /// The row of `leaf` most like `tokens`: most equal tokens, then most wildcards, then first.
    pub(super) fn best(&self, leaf: u32, tokens: &[u64]) -> Option<Best> {
        let node = &self.nodes[leaf as usize];
        let wild_line = tokens.iter().filter(|token| **token == WILD).count();
        let mut best: Option<Best> = None;
        for (row, cells) in node.cells.chunks_exact(tokens.len()).enumerate() {
            let (mut same, mut wild) = (0, 0);
            for (cell, token) in cells.iter().zip(tokens) {
                let is_wild = usize::from(*cell == WILD);
                wild += is_wild;
                same += usize::from(*cell == *token) & (1 - is_wild);
            }
            if best.is_none_or(|best| (same, wild) > (best.same, best.wild)) {
                let equal = same + wild_line == tokens.len() && wild == wild_line;
                best = Some(Best { row, same, wild, equal });
                if equal {
                    // No other row can have more of either.
                    return best;
                }
            }
        }
        best
    }

    pub(super) fn rows(&self, leaf: u32) -> &[Serial] {
        &self.nodes[leaf as usize].rows
    }

    /// The tokens of a row.
    pub(super) fn cells(&self, leaf: u32, row: usize, width: usize) -> &[u64] {
        &self.nodes[leaf as usize].cells[row * width..(row + 1) * width]
    }

    /// Makes one token of a row a wildcard.
    pub(super) fn widen(&mut self, leaf: u32, row: usize, width: usize, place: usize) {
        self.nodes[leaf as usize].cells[row * width + place] = WILD;
    }

    /// Appends a row.
    pub(super) fn insert(&mut self, leaf: u32, serial: Serial, tokens: &[u64]) {
        let node = &mut self.nodes[leaf as usize];
        node.rows.push(serial);
        node.cells.extend_from_slice(tokens);
    }

    /// Takes a row out; the others keep their order. An empty leaf stays until [`Tree::prune`].
    pub(super) fn remove(&mut self, leaf: u32, serial: Serial) {
        let node = &mut self.nodes[leaf as usize];
        let row = node.rows.iter().position(|row| *row == serial);
        let row = row.expect("a cluster is a row of its leaf");
        let width = node.cells.len() / node.rows.len();
        node.rows.remove(row);
        node.cells.drain(row * width..(row + 1) * width);
    }

    /// Takes out `leaf` if it is empty, and what led to nothing else.
    pub(super) fn prune(&mut self, leaf: u32) {
        let mut place = leaf;
        while place != NONE {
            let node = &self.nodes[place as usize];
            if !node.rows.is_empty() || !node.children.is_empty() {
                return;
            }
            let (parent, key) = (node.parent, node.key);
            match parent {
                NONE => self.roots[key as usize] = NONE,
                parent => {
                    let children = &mut self.nodes[parent as usize].children;
                    children.retain(|child| child.0 != key);
                }
            }
            self.nodes[place as usize].children = Vec::new();
            self.nodes[place as usize].cells = Vec::new();
            self.nodes[place as usize].rows = Vec::new();
            self.free.push(place);
            place = parent;
        }
    }

    /// How many nodes there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// All leaves with rows, in the order of their paths: the tokens that lead to each, and it.
    pub(super) fn leaves(&self) -> Vec<(Vec<u64>, u32)> {
        let mut found = Vec::new();
        let mut open: Vec<(Vec<u64>, u32)> = Vec::new();
        for root in self.roots.iter().rev().filter(|root| **root != NONE) {
            open.push((Vec::new(), *root));
        }
        while let Some((path, place)) = open.pop() {
            let node = &self.nodes[place as usize];
            for (key, child) in node.children.iter().rev() {
                let mut path = path.clone();
                path.push(*key);
                open.push((path, *child));
            }
            if !node.rows.is_empty() {
                found.push((path, place));
            }
        }
        found
    }

    /// The leaf for lines of `width` tokens at the end of `path`, made if need be: for a tree
    /// that is built again as it was. `None` if no tree has such a path.
    pub(super) fn restore(&mut self, width: usize, path: &[u64]) -> Option<u32> {
        if width == 0 || width > TOKENS_MAX || path.len() != self.levels.min(width - 1) {
            return None;
        }
        let mut node = self.roots[width];
        if node == NONE {
            node = self.add(NONE, width as u64);
            self.roots[width] = node;
        }
        for key in path {
            node = match self.child(node, *key) {
                Some(next) => next,
                None => self.add(node, *key),
            };
        }
        Some(node)
    }
}
