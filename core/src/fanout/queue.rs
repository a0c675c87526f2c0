//! [`Queue`]: which targets go into the next batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Targets of one wave that wait to be sent, by lane, in order; and groups that must go as they are (the halves of a
/// bisected batch, a throttled send).
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<u32, VecDeque<usize>>,
    groups: VecDeque<Group>,
    waiting: usize,
}

/// Targets that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) lane: u32,
    pub(super) attempt: u32,
    pub(super) targets: Vec<usize>,
}

impl Queue {
    /// Adds a target at the end of its lane.
    pub(super) fn push(&mut self, lane: u32, target: usize) {
        self.lanes.entry(lane).or_default().push_back(target);
        self.waiting += 1;
    }

    /// Puts a group in front of everything.
    pub(super) fn push_group(&mut self, group: Group) {
        self.waiting += group.targets.len();
        self.groups.push_front(group);
    }

    /// Targets that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// The lanes that targets wait in.
    pub(super) fn lanes(&self) -> impl Iterator<Item = u32> + '_ {
        let lanes = self.lanes.iter().filter(|(_, targets)| !targets.is_empty()).map(|(lane, _)| *lane);
        lanes.chain(self.groups.iter().map(|g| g.lane))
    }

    /// The next batch of a lane that isn't busy: at most `batch` targets and at most `free`. Fewer than `floor` are not worth a
    /// call while more are coming, unless the lane holds no more than that.
    pub(super) fn next(
        &mut self,
        free: usize,
        batch: usize,
        floor: usize,
        busy: &BTreeSet<u32>,
    ) -> Option<Group> {
        if free == 0 {
            return None;
        }
        if let Some(at) = self.groups.iter().position(|g| !busy.contains(&g.lane)) {
            return self.take_group(at, free.min(batch), floor);
        }
        // The fullest lane first: it is the one that ends last.
        let (lane, targets) = self
            .lanes
            .iter_mut()
            .filter(|(lane, targets)| !busy.contains(lane) && !targets.is_empty())
            .max_by_key(|(lane, t)| (t.len(), std::cmp::Reverse(**lane)))?;
        let take = targets.len().min(batch).min(free);
        if take < floor && take < targets.len() {
            return None;
        }
        let group = Group { lane: *lane, attempt: 1, targets: targets.drain(..take).collect() };
        self.waiting -= take;
        Some(group)
    }

    /// A group, or as much of it as there is room for. One that would become too small is waited for: others would take its room
    /// for ever. One that is larger than the window will ever be (a resume may have a smaller one) goes in parts.
    fn take_group(&mut self, at: usize, most: usize, floor: usize) -> Option<Group> {
        let group = self.groups.get_mut(at)?;
        let take = group.targets.len().min(most);
        if take < floor && take < group.targets.len() {
            return None;
        }
        let targets = group.targets.drain(..take).collect();
        let taken = Group { lane: group.lane, attempt: group.attempt, targets };
        if group.targets.is_empty() {
            self.groups.remove(at);
        }
        self.waiting -= take;
        Some(taken)
    }

    /// All of a lane that was never sent, and isn't busy.
    pub(super) fn take_whole(&mut self, busy: &BTreeSet<u32>) -> Option<Group> {
        if let Some(at) = self.groups.iter().position(|g| g.attempt == 1 && !busy.contains(&g.lane)) {
            let group = self.groups.remove(at)?;
            self.waiting -= group.targets.len();
            return Some(group);
        }
        let (lane, targets) =
            self.lanes.iter_mut().find(|(lane, targets)| !busy.contains(lane) && !targets.is_empty())?;
        self.waiting -= targets.len();
        Some(Group { lane: *lane, attempt: 1, targets: targets.drain(..).collect() })
    }

    /// Whether there is anything that was never sent.
    pub(super) fn has_whole(&self) -> bool {
        self.groups.iter().any(|g| g.attempt == 1) || self.lanes.values().any(|targets| !targets.is_empty())
    }

    /// A batch of what was sent before; see [`Queue::next`].
    pub(super) fn next_again(&mut self, most: usize, floor: usize, busy: &BTreeSet<u32>) -> Option<Group> {
        let at = self.groups.iter().position(|g| g.attempt > 1 && !busy.contains(&g.lane))?;
        if most == 0 { None } else { self.take_group(at, most, floor) }
    }

    /// Takes the targets of some lanes out.
    pub(super) fn take_lanes(&mut self, is_meant: impl Fn(u32) -> bool) -> Vec<usize> {
        let mut taken = Vec::new();
        self.groups.retain_mut(|group| {
            let is_meant = is_meant(group.lane);
            if is_meant {
                taken.append(&mut group.targets);
            }
            !is_meant
        });
        for (_, targets) in self.lanes.iter_mut().filter(|(lane, _)| is_meant(**lane)) {
            taken.extend(targets.drain(..));
        }
        self.waiting -= taken.len();
        taken.sort_unstable();
        taken
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<usize> {
        self.waiting = 0;
        let mut all: Vec<usize> = self.groups.drain(..).flat_map(|g| g.targets).collect();
        all.extend(std::mem::take(&mut self.lanes).into_values().flatten());
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lanes: &[(u32, usize)]) -> Queue {
        let mut queue = Queue::default();
        let mut n = 0;
        for (lane, count) in lanes {
            for _ in 0..*count {
                queue.push(*lane, n);
                n += 1;
            }
        }
        queue
    }

    #[test]
    fn batches_never_mix_lanes_and_keep_order() {
        let mut queue = queue(&[(0, 3), (1, 2)]);
        assert_eq!(queue.next(100, 50, 1, &BTreeSet::new()).unwrap().targets, [0, 1, 2]);
        let second = queue.next(100, 50, 1, &BTreeSet::new()).unwrap();
        assert_eq!((second.lane, second.targets), (1, vec![3, 4]));
        assert_eq!(queue.next(100, 50, 1, &BTreeSet::new()), None);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_window_too_small_waits_unless_it_takes_the_last() {
        let mut queue = queue(&[(0, 60)]);
        assert_eq!(queue.next(10, 50, 25, &BTreeSet::new()), None);
        assert_eq!(queue.next(30, 50, 25, &BTreeSet::new()).unwrap().targets.len(), 30);
        assert_eq!(queue.next(50, 50, 50, &BTreeSet::new()).unwrap().targets.len(), 30);
    }

    #[test]
    fn groups_go_first_and_whole_where_they_fit() {
        let mut queue = queue(&[(0, 5)]);
        queue.push_group(Group { lane: 3, attempt: 2, targets: vec![7, 8] });
        assert_eq!(queue.len(), 7);
        assert_eq!(queue.next(1, 50, 2, &BTreeSet::new()), None);
        assert_eq!(queue.next(2, 50, 2, &BTreeSet::new()).unwrap().attempt, 2);
        queue.push_group(Group { lane: 0, attempt: 1, targets: vec![9] });
        assert_eq!(queue.drain(), [0, 1, 2, 3, 4, 9]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_group_larger_than_the_window_goes_in_parts() {
        let mut queue = Queue::default();
        queue.push_group(Group { lane: 3, attempt: 2, targets: (0..50).collect() });
        assert_eq!(queue.next(4, 50, 5, &BTreeSet::new()), None);
        for part in [0..10, 10..20, 20..25] {
            let group = queue.next(part.len(), 50, 5, &BTreeSet::new()).unwrap();
            assert_eq!((group.lane, group.attempt, group.targets), (3, 2, part.collect()));
        }
        assert_eq!(queue.next(100, 20, 20, &BTreeSet::new()).unwrap().targets.len(), 20);
        assert_eq!(queue.next(100, 20, 20, &BTreeSet::new()).unwrap().targets.len(), 5);
        assert_eq!((queue.len(), queue.lanes().count()), (0, 0));
    }

    #[test]
    fn a_busy_lane_keeps_no_other_waiting() {
        let mut queue = queue(&[(0, 60), (1, 5)]);
        queue.push_group(Group { lane: 0, attempt: 1, targets: vec![99] });
        let busy = BTreeSet::from([0]);
        assert_eq!(queue.next(100, 50, 1, &busy).unwrap().lane, 1);
        assert_eq!(queue.next(100, 50, 1, &busy), None);
        assert_eq!(queue.next(100, 50, 1, &BTreeSet::new()).unwrap().targets, [99]);
        assert_eq!(queue.lanes().collect::<Vec<_>>(), [0]);
    }
}
