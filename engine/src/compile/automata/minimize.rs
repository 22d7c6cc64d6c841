//! Minimisation by partition refinement (J. Hopcroft, "An n log n algorithm for minimizing states in a finite automaton",
//! 1971).

use crate::mask::detector::DetectorBits;
use std::collections::{BTreeMap, VecDeque};

/// The block of equivalent nodes that each node is in. Nodes are equivalent if every continuation reports the same from
/// both. Deterministic.
pub(super) fn blocks(rows: &[usize], width: usize, reports: &[DetectorBits]) -> Vec<usize> {
    let mut partition = Partition::by(reports);
    let sources = Sources::of(rows, width, reports.len());
    // Splitters: a block and a column. All blocks may split at first.
    let mut waiting: Vec<Vec<bool>> = vec![vec![true; width]; partition.blocks.len()];
    let mut work: VecDeque<(usize, usize)> =
        (0..partition.blocks.len()).flat_map(|block| (0..width).map(move |column| (block, column))).collect();
    let mut touched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    while let Some((block, column)) = work.pop_front() {
        set(&mut waiting, block, column, false);
        for &node in partition.members(block) {
            for &source in sources.of_node(node, column) {
                touched.entry(partition.block_of(source)).or_default().push(source);
            }
        }
        for (old, nodes) in std::mem::take(&mut touched) {
            let Some(new) = partition.split(old, nodes) else { continue };
            waiting.push(vec![false; width]);
            let new_is_smaller = partition.members(new).len() <= partition.members(old).len();
            for column in 0..width {
                let old_waits = waiting.get(old).and_then(|row| row.get(column)).copied().unwrap_or(false);
                let chosen = if old_waits || new_is_smaller { new } else { old };
                set(&mut waiting, chosen, column, true);
                work.push_back((chosen, column));
            }
        }
    }
    partition.of
}

fn set(waiting: &mut [Vec<bool>], block: usize, column: usize, value: bool) {
    if let Some(flag) = waiting.get_mut(block).and_then(|row| row.get_mut(column)) {
        *flag = value;
    }
}

struct Partition {
    of: Vec<usize>,
    blocks: Vec<Vec<usize>>,
}

impl Partition {
    fn by(reports: &[DetectorBits]) -> Partition {
        let mut numbers: BTreeMap<DetectorBits, usize> = BTreeMap::new();
        let mut blocks: Vec<Vec<usize>> = Vec::new();
        let mut of = Vec::with_capacity(reports.len());
        for (node, report) in reports.iter().enumerate() {
            let block = *numbers.entry(*report).or_insert_with(|| {
                blocks.push(Vec::new());
                blocks.len() - 1
            });
            if let Some(members) = blocks.get_mut(block) {
                members.push(node);
            }
            of.push(block);
        }
        Partition { of, blocks }
    }

    fn members(&self, block: usize) -> &[usize] {
        self.blocks.get(block).map_or(&[], Vec::as_slice)
    }

    fn block_of(&self, node: usize) -> usize {
        self.of.get(node).copied().unwrap_or(0)
    }

    /// Moves `nodes`, all of block `old`, to a new block, unless they are all of it.
    fn split(&mut self, old: usize, mut nodes: Vec<usize>) -> Option<usize> {
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.len() == self.members(old).len() {
            return None;
        }
        let new = self.blocks.len();
        for &node in &nodes {
            if let Some(block) = self.of.get_mut(node) {
                *block = new;
            }
        }
        let Partition { of, blocks } = self;
        if let Some(members) = blocks.get_mut(old) {
            members.retain(|&node| of.get(node) == Some(&old));
        }
        blocks.push(nodes);
        Some(new)
    }
}

/// Where each node is entered from, per column.
struct Sources {
    from: Vec<usize>,
    list: Vec<usize>,
    width: usize,
}

impl Sources {
    fn of(rows: &[usize], width: usize, nodes: usize) -> Sources {
        let cells =
            || rows.iter().enumerate().map(|(cell, &target)| (target * width + cell % width, cell / width));
        let mut from = vec![0; nodes * width + 1];
        for (key, _) in cells() {
            if let Some(count) = from.get_mut(key + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for count in &mut from {
            total += *count;
            *count = total;
        }
        let mut filled = from.clone();
        let mut list = vec![0; total];
        for (key, node) in cells() {
            let Some(slot) = filled.get_mut(key) else { continue };
            if let Some(cell) = list.get_mut(*slot) {
                *cell = node;
            }
            *slot += 1;
        }
        Sources { from, list, width }
    }

    fn of_node(&self, node: usize, column: usize) -> &[usize] {
        let key = node * self.width + column;
        match (self.from.get(key), self.from.get(key + 1)) {
            (Some(&from), Some(&to)) => self.list.get(from..to).unwrap_or_default(),
            _ => &[],
        }
    }
}
