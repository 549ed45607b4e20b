//! Half-space trees: are these numbers where the others are?
//!
//! Tan, Ting, Liu, *Fast Anomaly Detection for Streaming Data* (IJCAI 2011), with the padded
//! split points and the summed score of River. Each tree cuts `[0, 1]` of some dimension in two
//! at each level, by a seed and never by the data. What is learned is how many points of a window
//! fell into each half-space. A point's mass is the sum, over trees and over the nodes on its way
//! down, of those counts × 2^depth, until a node holds less than a tenth of the window; a small
//! mass is odd.
//!
//! The model's reference is a finished window; the next one grows in summaries and takes its
//! place at the end of the epoch in which it is full. The mass becomes a probability by its rank
//! among the masses of past points.

use serde::{Deserialize, Serialize};

use crate::types::Mergeable;

use super::codec::{Corrupt, Put, Reader};
use super::opinion::Opinion;
use super::random::Random;

/// The shape of the trees, and how much they learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many numbers a point has, 1 to 64.
    pub dimensions: usize,
    /// How many trees, 1 to 1 000.
    pub trees: usize,
    /// Levels of splits, 1 to 16. A tree takes 16 bytes × 2^height.
    pub height: u32,
    /// Points of a window, at least 1. Until the first is full there is no opinion.
    pub window: u64,
    /// What the trees are made from.
    pub seed: u64,
    /// Points whose mass was ranked before there is an opinion.
    pub opinion_min: u64,
    /// How many in a thousand masses, the least ones, the tail is fitted to: 1 to 500.
    pub tail_permille: u64,
    /// Masses counted, at the end of an epoch, before their counts are halved.
    pub halve_at: u64,
}

impl Options {
    /// Fit for the features of messages: 25 trees of height 8, windows of 1 000.
    pub const MESSAGES: Options = Options {
        dimensions: super::features::FEATURES,
        trees: 25,
        height: 8,
        window: 1_000,
        seed: 42,
        opinion_min: 1_000,
        tail_permille: 20,
        halve_at: 1 << 18,
    };

    fn bounded(self) -> Self {
        Options {
            dimensions: self.dimensions.clamp(1, DIMENSIONS_MAX),
            trees: self.trees.clamp(1, 1_000),
            height: self.height.clamp(1, 16),
            window: self.window.max(1),
            ..self
        }
    }
}

/// Trees walked side by side.
const LANES: usize = 5;
/// The most numbers that a point has.
const DIMENSIONS_MAX: usize = 64;

/// One cut: left of the threshold or not.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Split {
    threshold: f32,
    dimension: u32,
}

impl Split {
    /// 0 for the left child, 1 for the right.
    #[inline]
    fn side(self, point: &[f32]) -> usize {
        usize::from(point[self.dimension as usize] >= self.threshold)
    }
}

/// Fixed trees. A node's children are `2i` and `2i + 1`; the root is 1, the leaves come last.
#[derive(Clone, Debug, PartialEq)]
struct Forest {
    height: u32,
    splits: Vec<Split>,
}

/// Share of a range at each end in which it is never split.
const PADDING: f64 = 0.15;

impl Forest {
    fn new(options: &Options) -> Self {
        let mut random = Random::new(options.seed);
        let nodes = 1usize << options.height;
        let mut forest = Forest { height: options.height, splits: Vec::new() };
        for _ in 0..options.trees {
            let base = forest.splits.len();
            forest.splits.resize(base + nodes, Split { threshold: 0.0, dimension: 0 });
            let mut ranges = vec![(0.0, 1.0); options.dimensions];
            forest.grow(base, 1, &mut ranges, &mut random);
        }
        forest
    }

    fn grow(&mut self, base: usize, node: usize, ranges: &mut [(f64, f64)], random: &mut Random) {
        if node >> self.height != 0 {
            return;
        }
        let widths: f64 = ranges.iter().map(|(from, to)| to - from).sum();
        let mut at = random.between(0.0, widths);
        let wide = ranges.iter().position(|(from, to)| {
            at -= to - from;
            at < 0.0
        });
        let dimension = wide.unwrap_or(ranges.len() - 1);
        let (from, to) = ranges[dimension];
        let pad = PADDING * (to - from);
        // As the number that points are compared with, so that ranges and splits agree.
        let threshold = random.between(from + pad, to - pad) as f32;
        self.splits[base + node] = Split { threshold, dimension: dimension as u32 };
        ranges[dimension] = (from, f64::from(threshold));
        self.grow(base, 2 * node, ranges, random);
        ranges[dimension] = (f64::from(threshold), to);
        self.grow(base, 2 * node + 1, ranges, random);
        ranges[dimension] = (from, to);
    }
}

/// Where a point fell: a leaf of each tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The mass of the point over that of the root: at least 1, small where few others are.
    pub mass: f32,
}

/// Bins of masses to each doubling.
const FINE: u32 = 32;
/// Bins of masses in all: up to 2¹⁷, the greatest mass at height 16.
const BINS: usize = 17 * FINE as usize;

impl Score {
    fn bin(self) -> usize {
        let shift = 23 - FINE.trailing_zeros();
        let bits = self.mass.max(1.0).to_bits() >> shift;
        ((bits - (127 << (23 - shift))) as usize).min(BINS - 1)
    }
}

/// What one epoch brought: where its points fell, and how they scored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Sparse", from = "Sparse")]
pub struct Summary {
    /// Points in each leaf of each tree; empty if there are no points.
    leaves: Vec<u32>,
    points: u64,
    /// Points in each bin of masses; empty if none was scored.
    scores: Vec<u32>,
}

/// A [`Summary`] on its way: only what is not 0.
#[derive(Serialize, Deserialize)]
struct Sparse {
    leaves: (u32, Vec<(u32, u32)>),
    points: u64,
    scores: (u32, Vec<(u32, u32)>),
}

/// More leaves than any model has.
const LEAVES_MAX: u32 = 1_000 << 16;

fn sparse(counts: &[u32]) -> (u32, Vec<(u32, u32)>) {
    let used = (0u32..).zip(counts.iter().copied()).filter(|(_, count)| *count > 0);
    (counts.len() as u32, used.collect())
}

fn dense((len, used): (u32, Vec<(u32, u32)>)) -> Vec<u32> {
    let mut counts = vec![0; len.min(LEAVES_MAX) as usize];
    for (at, count) in used {
        if let Some(slot) = counts.get_mut(at as usize) {
            *slot = count;
        }
    }
    counts
}

impl From<Summary> for Sparse {
    fn from(summary: Summary) -> Self {
        let Summary { leaves, points, scores } = summary;
        Sparse { leaves: sparse(&leaves), points, scores: sparse(&scores) }
    }
}

impl From<Sparse> for Summary {
    fn from(wire: Sparse) -> Self {
        Summary { leaves: dense(wire.leaves), points: wire.points, scores: dense(wire.scores) }
    }
}

fn add_all(counts: &mut Vec<u32>, others: Vec<u32>) {
    if counts.len() < others.len() {
        counts.resize(others.len(), 0);
    }
    for (count, other) in counts.iter_mut().zip(others) {
        *count = count.saturating_add(other);
    }
}

impl Mergeable for Summary {
    fn merge(&mut self, other: Self) {
        add_all(&mut self.leaves, other.leaves);
        add_all(&mut self.scores, other.scores);
        self.points = self.points.saturating_add(other.points);
    }
}

/// Where the points of closed epochs fell. See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct HalfSpace {
    options: Options,
    forest: Forest,
    /// Points of the reference window in each node, numbered as in the forest, twice as many.
    masses: Vec<u32>,
    /// Points of the reference window; 0 until the first is full.
    reference: u64,
    /// The window that grows: points in each leaf.
    latest: Vec<u32>,
    latest_points: u64,
    scores: Vec<u64>,
    /// The scores in each bin and all below it.
    up_to: Vec<u64>,
    tail: Option<Tail>,
}

/// How the least masses thin out towards those never seen: exponentially in bins, so as a power
/// of the mass.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tail {
    /// The bin that the least scores end in.
    bin: usize,
    share: f64,
    /// How far below it they lie on average, in bins.
    spread: f64,
}

/// Scores that a tail needs.
const TAIL_MIN: u64 = 10;
/// How many times as improbable as one in all that were seen a tail may call a point. Masses move
/// with every new window, so that a tail says nothing of what is far beyond the data.
const BEYOND: f64 = 10.0;

impl Tail {
    fn of(up_to: &[u64], permille: u64) -> Option<Self> {
        let points = *up_to.last()?;
        let least = u128::from(points) * u128::from(permille.clamp(1, 500));
        let bin = up_to.partition_point(|below| u128::from(*below) * 1_000 < least);
        let scores = *up_to.get(bin)?;
        // Each score of a lower bin is counted once for each bin that it lies below.
        let distances: u64 = up_to[..bin].iter().sum();
        if scores < TAIL_MIN || distances == 0 {
            return None;
        }
        let spread = distances as f64 / scores as f64 + 0.5;
        Some(Tail { bin, share: scores as f64 / points as f64, spread })
    }

    fn p(&self, bin: usize) -> f64 {
        self.share * libm::exp(-(self.bin.saturating_sub(bin) as f64) / self.spread)
    }
}

impl HalfSpace {
    const VERSION: u8 = 1;

    /// Trees that have seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let options = options.bounded();
        let leaves = options.trees << options.height;
        HalfSpace {
            forest: Forest::new(&options),
            masses: vec![0; 2 * leaves],
            reference: 0,
            latest: vec![0; leaves],
            latest_points: 0,
            scores: vec![0; BINS],
            up_to: vec![0; BINS],
            tail: None,
            options,
        }
    }

    /// The mass of a point, once a first window was full. The point has as many numbers as there
    /// are dimensions; what is no number lies left of every split.
    #[must_use]
    pub fn score(&self, point: &[f32]) -> Option<Score> {
        if self.reference == 0 {
            return None;
        }
        Some(self.normal(self.visit(point, |_| {})))
    }

    /// Shows each tree's leaf of a point, by its place among all leaves; the sum of its masses.
    #[inline]
    fn visit(&self, point: &[f32], mut leaf: impl FnMut(usize)) -> u64 {
        assert_eq!(point.len(), self.options.dimensions, "a number for each dimension");
        let mut padded = [0.0; DIMENSIONS_MAX];
        padded[..point.len()].copy_from_slice(point);
        let leaves = 1usize << self.options.height;
        let (mut sum, mut tree) = (0u64, 0);
        while tree + LANES <= self.options.trees {
            let (mass, nodes) = self.walk::<LANES>(tree, &padded);
            sum = sum.wrapping_add(mass);
            nodes.into_iter().for_each(|node| {
                leaf(tree * leaves + node - leaves);
                tree += 1;
            });
        }
        while tree < self.options.trees {
            let (mass, [node]) = self.walk::<1>(tree, &padded);
            sum = sum.wrapping_add(mass);
            leaf(tree * leaves + node - leaves);
            tree += 1;
        }
        sum
    }

    fn normal(&self, sum: u64) -> Score {
        let whole = self.reference as f64 * self.options.trees as f64;
        Score { mass: (sum as f64 / whole) as f32 }
    }

    /// How improbable a mass is: the share of past points with one no larger, and below all of
    /// them what their tail says, for one decade. `None` until enough were seen.
    #[must_use]
    pub fn opinion(&self, score: Score) -> Option<Opinion> {
        let points = self.up_to[BINS - 1];
        if points < self.options.opinion_min.max(1) {
            return None;
        }
        let below = self.up_to[score.bin()];
        let rank = (below + 1) as f64 / (points + 1) as f64;
        let p = match self.tail {
            Some(tail) if below == 0 => rank.min(tail.p(score.bin()).max(rank / BEYOND)),
            _ => rank,
        };
        Some(Opinion::new(p))
    }

    /// Judges a point and writes it down; one walk through the trees for both.
    pub fn score_and_learn(&self, point: &[f32], summary: &mut Summary) -> Option<Score> {
        if summary.leaves.is_empty() {
            summary.leaves = vec![0; self.latest.len()];
        }
        let sum = self.visit(point, |leaf| {
            let count = &mut summary.leaves[leaf];
            *count = count.saturating_add(1);
        });
        summary.points += 1;
        let score = (self.reference > 0).then(|| self.normal(sum))?;
        if summary.scores.is_empty() {
            summary.scores = vec![0; BINS];
        }
        summary.scores[score.bin()] += 1;
        Some(score)
    }

    /// Walks down `N` trees from `first` on: the sum of their masses, and the leaves reached.
    ///
    /// The trees are walked side by side, always to the leaf and without a branch on the data, so
    /// that a processor waits for none of them. Sums wrap only where counts were forged: a window
    /// of 2³² points in 1 000 trees of height 16 stays below 2⁶⁴.
    #[inline]
    fn walk<const N: usize>(
        &self,
        first: usize,
        point: &[f32; DIMENSIONS_MAX],
    ) -> (u64, [usize; N]) {
        let nodes = 1usize << self.options.height;
        let splits: [&[Split]; N] =
            std::array::from_fn(|i| &self.forest.splits[(first + i) * nodes..][..nodes]);
        let masses: [&[u32]; N] =
            std::array::from_fn(|i| &self.masses[(first + i) * 2 * nodes..][..2 * nodes]);
        let least = self.reference.div_ceil(10);
        let mut node = [1usize; N];
        let mut counts = [u64::MAX; N];
        let mut sum = 0u64;
        for depth in 0..self.options.height {
            for i in 0..N {
                let mass = u64::from(masses[i][node[i]]);
                sum = sum.wrapping_add((mass << depth) & counts[i]);
                counts[i] &= u64::from(mass >= least).wrapping_neg();
                let split = splits[i][node[i]];
                let x = point[split.dimension as usize % DIMENSIONS_MAX];
                node[i] = node[i].wrapping_mul(2) | usize::from(x >= split.threshold);
            }
        }
        for i in 0..N {
            let mass = u64::from(masses[i][node[i]]);
            sum = sum.wrapping_add((mass << self.options.height) & counts[i]);
        }
        (sum, node)
    }

    /// The two dimensions whose splits isolate a point most, the strongest first; of a point with
    /// one dimension it is both.
    #[must_use]
    pub fn isolating(&self, point: &[f32]) -> [usize; 2] {
        let nodes = 1usize << self.options.height;
        let mut bits = vec![0.0f64; self.options.dimensions];
        for tree in 0..self.options.trees {
            let splits = &self.forest.splits[tree * nodes..][..nodes];
            let masses = &self.masses[tree * 2 * nodes..][..2 * nodes];
            let mut node = 1;
            while node < nodes && u64::from(masses[node]) * 10 >= self.reference {
                let split = splits[node];
                let dimension = split.dimension as usize;
                let child = 2 * node + split.side(point);
                let share = f64::from(masses[child] + 1) / f64::from(masses[node].max(1) + 1);
                bits[dimension] -= libm::log2(share);
                node = child;
            }
        }
        let strongest = |but: Option<usize>| {
            let others = (0..bits.len()).filter(|dimension| Some(*dimension) != but);
            others.max_by(|a, b| bits[*a].total_cmp(&bits[*b]).then(b.cmp(a)))
        };
        let first = strongest(None).expect("a point has a dimension");
        [first, strongest(Some(first)).unwrap_or(first)]
    }

    /// Learns an epoch.
    pub fn apply(&mut self, summary: &Summary) {
        for (count, new) in self.latest.iter_mut().zip(&summary.leaves) {
            *count = count.saturating_add(*new);
        }
        self.latest_points = self.latest_points.saturating_add(summary.points);
        for (count, new) in self.scores.iter_mut().zip(&summary.scores) {
            *count = count.saturating_add(u64::from(*new));
        }
        if self.scores.iter().sum::<u64>() >= self.options.halve_at {
            self.scores.iter_mut().for_each(|count| *count /= 2);
        }
        if self.latest_points >= self.options.window {
            self.flip();
        }
        self.rank();
    }

    /// Makes the latest window the reference.
    fn flip(&mut self) {
        let nodes = 1usize << self.options.height;
        for tree in 0..self.options.trees {
            let masses = &mut self.masses[tree * 2 * nodes..][..2 * nodes];
            masses[nodes..].copy_from_slice(&self.latest[tree * nodes..][..nodes]);
            for node in (1..nodes).rev() {
                masses[node] = masses[2 * node].saturating_add(masses[2 * node + 1]);
            }
        }
        self.latest.fill(0);
        self.reference = std::mem::take(&mut self.latest_points);
    }

    fn rank(&mut self) {
        let mut sum = 0u64;
        for (up_to, count) in self.up_to.iter_mut().zip(&self.scores) {
            sum += count;
            *up_to = sum;
        }
        self.tail = Tail::of(&self.up_to, self.options.tail_permille);
    }

    /// Appends the model, without its trees, which its options make.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::VERSION);
        let Options { dimensions, trees, height, seed, .. } = self.options;
        out.put_var(dimensions as u64);
        out.put_var(trees as u64);
        out.put_var(u64::from(height));
        out.put_u64(seed);
        out.put_var(self.reference);
        out.put_var(self.latest_points);
        let nodes = 1usize << height;
        for tree in 0..trees {
            let leaves = &self.masses[tree * 2 * nodes + nodes..][..nodes];
            leaves.iter().for_each(|count| out.put_var(u64::from(*count)));
        }
        self.latest.iter().for_each(|count| out.put_var(u64::from(*count)));
        self.scores.iter().for_each(|count| out.put_var(*count));
    }

    /// Reads a model back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote, or were written by trees of
    /// another shape or seed.
    pub fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, Self::VERSION)?;
        let mut model = HalfSpace::new(options);
        let Options { dimensions, trees, height, seed, .. } = model.options;
        for shape in [dimensions as u64, trees as u64, u64::from(height)] {
            if reader.var()? != shape {
                return Err(Corrupt("trees of another shape"));
            }
        }
        if reader.u64()? != seed {
            return Err(Corrupt("trees of another seed"));
        }
        let (reference, latest) = (reader.var_to(1 << 40)?, reader.var_to(1 << 40)?);
        let mut counts = |len: usize| -> Result<Vec<u32>, Corrupt> {
            (0..len).map(|_| reader.var_u32()).collect()
        };
        model.latest = counts(trees << height)?;
        model.flip();
        model.reference = reference;
        model.latest = counts(trees << height)?;
        model.latest_points = latest;
        for count in &mut model.scores {
            *count = reader.var_to(1 << 40)?;
        }
        reader.end()?;
        model.rank();
        Ok(model)
    }
}

/// The reason in words: `message length (143 bytes) and digit share (61.3 %) are unlike those of
/// 99.9 % of this template's messages`, of features as [`described`](super::features::described).
/// `own` says whether the template is compared with itself.
#[must_use]
pub fn sentence(names: [String; 2], opinion: Opinion, own: bool) -> String {
    let share = 100.0 * (1.0 - opinion.p());
    // As many digits as tell it from 100 %.
    let digits = (libm::ceil(opinion.surprise().decades()) as usize).saturating_sub(2).min(6);
    let whose = if own { "this template's messages" } else { "all messages" };
    match names {
        [one, other] if one == other => {
            format!("{one} is unlike that of {share:.digits$} % of {whose}")
        }
        [one, other] => {
            format!("{one} and {other} are unlike those of {share:.digits$} % of {whose}")
        }
    }
}

#[cfg(test)]
mod tests;
