//! How a body is cut for tests: every way that is cheap, a deterministic sample of the rest.

/// Bodies up to this many bytes are cut in two at every place.
const EVERY_PLACE: usize = 8 * 1024;
/// Seeded cuts of longer bodies.
const SEEDED: u64 = 200;

/// The cuts of a body, each as the lengths at which it is cut. `points` are places of interest (findings, event borders).
pub fn cuts(length: usize, points: &[usize]) -> Vec<Vec<usize>> {
    let mut cuts = vec![vec![], (1..length).collect()];
    if length <= EVERY_PLACE {
        cuts.extend((1..length).map(|at| vec![at]));
    } else {
        let mut near: Vec<usize> = points
            .iter()
            .flat_map(|point| point.saturating_sub(600)..point.saturating_add(600).min(length))
            .collect();
        near.sort_unstable();
        near.dedup();
        cuts.extend(near.into_iter().filter(|at| *at > 0).map(|at| vec![at]));
    }
    cuts.extend((1..=SEEDED).map(|seed| seeded(length, seed)));
    cuts
}

/// Pieces of one to forty bytes, chosen by the seed alone.
#[must_use]
pub fn seeded(length: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut at = 0;
    let mut cuts = Vec::new();
    loop {
        // xorshift64 (Marsaglia 2003): deterministic everywhere, good enough to spread cuts.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        at += usize::try_from(state % 40).unwrap_or_default() + 1;
        if at >= length {
            return cuts;
        }
        cuts.push(at);
    }
}

/// The pieces of a body that is cut at `cuts`.
#[must_use]
pub fn pieces<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut from = 0;
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    for &to in cuts.iter().chain([&body.len()]) {
        pieces.push(body.get(from..to).unwrap_or_default());
        from = to;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_body() {
        let body: Vec<u8> = (0..=255).collect();
        for cut in cuts(body.len(), &[]) {
            assert_eq!(pieces(&body, &cut).concat(), body);
        }
        assert_eq!(cuts(3, &[])[..4], [vec![], vec![1, 2], vec![1], vec![2]]);
    }
}
