//! Who takes and who gives a shard: a pure function of what a process sees.
//!
//! Each process decides for itself. Nobody takes a shard from a process that lives, so two different views are harmless: they
//! only delay the balance. Owns: the equal shares. Does not own: how long a process must be silent, or the hand-over.

/// What one process sees.
#[derive(Clone, Debug, Default)]
pub(super) struct View<'a> {
    pub(super) me: &'a str,
    /// The living processes with their releases, this one among them.
    pub(super) nodes: Vec<(&'a str, u64)>,
    /// The owner of each shard. `None` for a free one, and for one whose owner is silent.
    pub(super) owners: Vec<Option<&'a str>>,
}

/// What the process does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Free shards to take.
    pub(super) take: Vec<u16>,
    /// A shard to give up, because another process has less than its share.
    pub(super) give: Option<u16>,
}

/// Returns what `view.me` does for equal shares.
///
/// The newest release gets all shards, as soon as at least half of the processes have it. So a rolling update moves each shard
/// once, to a process that stays.
pub(super) fn balance(view: &View<'_>) -> Plan {
    let Some(newest) = view.nodes.iter().map(|(_, build)| *build).max() else { return Plan::default() };
    let new = view.nodes.iter().filter(|(_, build)| *build == newest).count();
    let prefers_new = 2 * new >= view.nodes.len();
    let owned = |node: &str| view.owners.iter().filter(|owner| **owner == Some(node)).count();
    let mut sharing: Vec<(usize, &str)> = view
        .nodes
        .iter()
        .filter(|(_, build)| !prefers_new || *build == newest)
        .map(|(name, _)| (owned(name), *name))
        .collect();
    // A process that has more keeps one more, so that nothing moves without need.
    sharing.sort_by(|(more, a), (less, b)| less.cmp(more).then_with(|| a.cmp(b)));
    let (base, rest) = (view.owners.len() / sharing.len().max(1), view.owners.len() % sharing.len().max(1));
    let rank = sharing.iter().position(|(_, name)| *name == view.me);
    let share = rank.map_or(0, |rank| base + usize::from(rank < rest));
    let own = owned(view.me);
    let numbers = || (0_u16..).zip(&view.owners);
    if own > share {
        return Plan { take: Vec::new(), give: numbers().rfind_me(view.me) };
    }
    let mut free: Vec<u16> =
        numbers().filter(|(_, owner)| owner.is_none()).map(|(number, _)| number).collect();
    if !free.is_empty() {
        // Each process begins at another place, so that two of them seldom want the same shard.
        let at = rank.unwrap_or_default() * free.len() / sharing.len().max(1);
        free.rotate_left(at);
    }
    free.truncate(share - own);
    Plan { take: free, give: None }
}

trait Last<'a> {
    fn rfind_me(self, me: &str) -> Option<u16>;
}

impl<'a, 'v: 'a, I: Iterator<Item = (u16, &'a Option<&'v str>)>> Last<'a> for I {
    fn rfind_me(self, me: &str) -> Option<u16> {
        self.filter(|(_, owner)| **owner == Some(me)).last().map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets all processes act on the same view, until nobody does anything. Returns the number of moves.
    fn settle<'a>(nodes: &[(&'a str, u64)], owners: &mut [Option<&'a str>]) -> usize {
        let mut moves = 0;
        for _ in 0..1_000 {
            let before = owners.to_vec();
            let mut acted = false;
            for (me, _) in nodes {
                let plan = balance(&View { me, nodes: nodes.to_vec(), owners: before.clone() });
                if let Some(give) = plan.give {
                    assert_eq!(before[usize::from(give)], Some(*me), "only the owner gives");
                    (owners[usize::from(give)], acted) = (None, true);
                    moves += 1;
                }
                for take in plan.take {
                    assert_eq!(before[usize::from(take)], None, "only a free shard is taken");
                    owners[usize::from(take)].get_or_insert(me);
                    acted = true;
                }
            }
            if !acted {
                return moves;
            }
        }
        panic!("it does not settle: {owners:?}");
    }

    fn shares<'a>(nodes: &[(&'a str, u64)], owners: &[Option<&'a str>]) -> Vec<usize> {
        nodes.iter().map(|(name, _)| owners.iter().filter(|owner| **owner == Some(*name)).count()).collect()
    }

    #[test]
    fn shares_are_equal_whatever_they_were_before() {
        let names = ["a", "b", "c", "d", "e"];
        for count in 1..=names.len() {
            let nodes: Vec<(&str, u64)> = names[..count].iter().map(|name| (*name, 1)).collect();
            for shards in [1, 2, 7, 16, 256] {
                for seed in 0..8_usize {
                    let mut owners: Vec<Option<&str>> = (0..shards)
                        .map(|n| (seed > 0).then(|| nodes[n * seed / 3 % count].0).filter(|_| n % 3 < seed))
                        .collect();
                    settle(&nodes, &mut owners);
                    let shares = shares(&nodes, &owners);
                    assert_eq!(shares.iter().sum::<usize>(), shards, "no shard is free");
                    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                    assert!(most - least <= 1, "{shares:?} of {shards}");
                }
            }
        }
    }

    #[test]
    fn a_new_process_gets_its_share_with_the_fewest_moves() {
        let (old, all) = ([("a", 1), ("b", 1)], [("a", 1), ("b", 1), ("c", 1)]);
        let mut owners = vec![None; 12];
        settle(&old, &mut owners);
        assert_eq!(settle(&all, &mut owners), 4);
        assert_eq!(shares(&all, &owners), [4, 4, 4]);
        assert_eq!(settle(&all, &mut owners), 0, "nothing moves when nothing changes");
    }

    #[test]
    fn the_shards_of_a_silent_process_go_to_all_others() {
        let all = [("a", 1), ("b", 1), ("c", 1)];
        let mut owners = vec![None; 12];
        settle(&all, &mut owners);
        for owner in owners.iter_mut().filter(|owner| **owner == Some("b")) {
            *owner = None;
        }
        let left = [("a", 1), ("c", 1)];
        assert_eq!(settle(&left, &mut owners), 0, "no shard of a living process moves");
        assert_eq!(shares(&left, &owners), [6, 6]);
    }

    #[test]
    fn a_rolling_update_moves_each_shard_to_the_new_release_once() {
        let mut owners = vec![None; 12];
        settle(&[("a", 1), ("b", 1), ("c", 1)], &mut owners);
        // One new process of four: it gets an equal share. Two of five: likewise. Three of six have all.
        let mut moves = settle(&[("a", 1), ("b", 1), ("c", 1), ("x", 2)], &mut owners);
        moves += settle(&[("a", 1), ("b", 1), ("c", 1), ("x", 2), ("y", 2)], &mut owners);
        let all = [("a", 1), ("b", 1), ("c", 1), ("x", 2), ("y", 2), ("z", 2)];
        moves += settle(&all, &mut owners);
        assert_eq!(shares(&all, &owners), [0, 0, 0, 4, 4, 4]);
        assert!(moves <= 2 * 12, "{moves}");
        let left = [("x", 2), ("y", 2), ("z", 2)];
        assert_eq!(settle(&left, &mut owners), 0, "the old release has nothing left to give");
    }

    #[test]
    fn who_sees_nobody_does_nothing() {
        assert_eq!(balance(&View::default()), Plan::default());
    }
}
