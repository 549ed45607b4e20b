//! The recent events of one entity: those of the last half hour, say, by event time.

use serde::{Deserialize, Serialize};

use crate::types::{EventTime, Span};

/// How much an entity's window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How far back it reaches from its newest event.
    pub width: Span,
    /// How many events it holds; beyond it the oldest goes. 16 bytes each.
    pub events_max: usize,
}

/// Events by (time, sequence number), oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    events: Vec<(EventTime, u64)>,
}

impl Window {
    /// Takes an event in, and lets go of what is too old. Events may come out of order; one
    /// older than the window is not taken.
    pub fn push(&mut self, options: &Options, time: EventTime, seq: u64) {
        let newest = self.events.last().map_or(time, |(newest, _)| (*newest).max(time));
        let since = newest - options.width;
        if time < since {
            return;
        }
        if self.events.is_empty() {
            self.events.reserve_exact(1);
        }
        match self.events.last() {
            Some(last) if *last > (time, seq) => {
                let at = self.events.partition_point(|event| *event < (time, seq));
                self.events.insert(at, (time, seq));
            }
            _ => self.events.push((time, seq)),
        }
        let old = match self.events[0].0 < since {
            true => self.events.partition_point(|(time, _)| *time < since),
            false => 0,
        };
        let over = (self.events.len() - old).saturating_sub(options.events_max.max(1));
        // The front is cut in strides, so that a full window costs no move of all for each event.
        let cut = old + over;
        if cut > self.events.len() / 4 || self.events.len() > options.events_max.max(1) * 5 / 4 {
            self.events.drain(..cut);
        }
    }

    /// The events of the window, oldest first.
    #[must_use]
    pub fn events(&self, options: &Options) -> &[(EventTime, u64)] {
        let Some((newest, _)) = self.events.last() else { return &[] };
        let old = self.events.partition_point(|(time, _)| *time < *newest - options.width);
        let over = (self.events.len() - old).saturating_sub(options.events_max.max(1));
        &self.events[old + over..]
    }

    /// The bytes that it takes beside itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.events.capacity() * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options { width: Span::from_secs(60), events_max: 4 };

    fn window(events: &[(i64, u64)]) -> Vec<u64> {
        let mut window = Window::default();
        for (second, seq) in events {
            window.push(&OPTIONS, EventTime::from_secs(*second), *seq);
        }
        window.events(&OPTIONS).iter().map(|(_, seq)| *seq).collect()
    }

    #[test]
    fn it_holds_the_last_minute() {
        assert_eq!(window(&[(0, 1), (30, 2), (60, 3), (61, 4)]), [2, 3, 4]);
    }

    #[test]
    fn it_holds_no_more_than_its_limit() {
        let many: Vec<_> = (0..100).map(|seq| (0, seq)).collect();
        assert_eq!(window(&many), [96, 97, 98, 99]);
    }

    #[test]
    fn events_out_of_order_find_their_place_and_older_ones_none() {
        assert_eq!(window(&[(100, 1), (50, 2), (39, 3), (90, 4)]), [2, 4, 1]);
    }

    #[test]
    fn cutting_in_strides_does_not_show() {
        let mut window = Window::default();
        let mut plain: Vec<(EventTime, u64)> = Vec::new();
        let mut random = 7u64;
        for seq in 0..5_000 {
            random = crate::types::hash::mix(random + seq);
            let time = EventTime::from_secs(seq as i64 / 3 + (random % 90) as i64);
            window.push(&OPTIONS, time, seq);
            let newest = plain.last().map_or(time, |(newest, _)| (*newest).max(time));
            if time >= newest - OPTIONS.width {
                plain.push((time, seq));
                plain.sort_unstable();
            }
            plain.retain(|(time, _)| *time >= newest - OPTIONS.width);
            let over = plain.len().saturating_sub(OPTIONS.events_max);
            plain.drain(..over);
            assert_eq!(window.events(&OPTIONS), plain);
        }
    }
}
