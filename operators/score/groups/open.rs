//! Groups whose window is not over yet.

use super::*;

/// The open groups of some keys. Has one owner and takes events in sequence order; one for each
/// key group, so that its limit does not depend on how many workers there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Open {
    /// By the start of their window.
    windows: BTreeMap<EventTime, Map<(Detector, u64), Group>>,
    groups: usize,
    /// Windows that end no later than this are over; what comes later counts in the one that
    /// holds this moment.
    closed_to: Option<EventTime>,
    refused: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Group {
    most: Surprise,
    events: u32,
    alerted: bool,
}

impl Open {
    const VERSION: u8 = 2;

    /// Takes an opinion of an event into its group; into that of the open window, if its own is
    /// over. Writes the group down if that was its last event. `None` if there are too many groups.
    pub fn note(
        &mut self,
        ranks: &Ranks,
        detector: Detector,
        key: u64,
        time: EventTime,
        opinion: Opinion,
        summary: &mut Summary,
    ) -> Option<Noted> {
        let options = &ranks.options;
        let time = self.closed_to.map_or(time, |closed_to| time.max(closed_to));
        let start = time.align(options.width);
        let full = self.groups >= options.open_max;
        let window = match full {
            true => self.windows.get_mut(&start),
            false => Some(self.windows.entry(start).or_default()),
        };
        let group = match window {
            Some(window) if full => window.get_mut(&(detector, key)),
            Some(window) => Some(window.entry((detector, key)).or_insert_with(|| {
                self.groups += 1;
                Group::default()
            })),
            None => None,
        };
        let Some(group) = group else {
            self.refused += 1;
            return None;
        };
        group.most = group.most.max(opinion.surprise());
        group.events = group.events.saturating_add(1);
        let alert = group.most >= ranks.threshold(detector) && !group.alerted;
        group.alerted |= alert;
        let (most, events) = (group.most, group.events);
        let events_max = match group.alerted {
            true => ranks.capacity().saturating_mul(ALERTED_STAYS),
            false => ranks.capacity(),
        };
        if events >= events_max {
            let window = self.windows.get_mut(&start).expect("the group is in it");
            window.remove(&(detector, key));
            self.groups -= 1;
            if window.is_empty() {
                self.windows.remove(&start);
            }
            summary.close(Closed { detector, end: start + options.width, key, most });
        }
        let room = events_max.saturating_sub(events);
        Some(Noted { alert, most, start, room })
    }

    /// Counts events into a group that is open, and that they neither lift nor fill: fewer than
    /// the [`room`](Noted::room) in it.
    pub fn count(&mut self, detector: Detector, key: u64, start: EventTime, events: u32) {
        let window = self.windows.get_mut(&start);
        let group = window.and_then(|window| window.get_mut(&(detector, key)));
        let group = group.expect("the group is open");
        group.events = group.events.saturating_add(events);
    }

    /// Closes the windows that end no later than `watermark`, and writes their groups down.
    pub fn close(&mut self, ranks: &Ranks, watermark: EventTime, summary: &mut Summary) {
        while let Some(window) = self.windows.first_entry() {
            let end = *window.key() + ranks.options.width;
            if end > watermark {
                break;
            }
            let groups = window.remove();
            self.groups -= groups.len();
            for ((detector, key), group) in groups {
                summary.close(Closed { detector, end, key, most: group.most });
            }
        }
        self.closed_to = self.closed_to.max(Some(watermark));
    }

    /// How many groups are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups
    }

    /// Whether no group is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups == 0
    }

    /// How many opinions were refused because too many groups were open.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Appends the open groups.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::VERSION);
        out.put_u64(self.closed_to.unwrap_or(EventTime::MIN).0 as u64);
        out.put_var(self.refused);
        out.put_var(self.groups as u64);
        for (start, window) in &self.windows {
            let mut groups: Vec<_> = window.iter().collect();
            groups.sort_unstable_by_key(|(key, _)| **key);
            for ((detector, key), group) in groups {
                out.put_u64(start.0 as u64);
                out.put_u8(detector.0);
                out.put_u64(*key);
                out.put_u32(group.most.0);
                out.put_u32(group.events);
                out.put_u8(u8::from(group.alerted));
            }
        }
    }

    /// Reads open groups back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, Self::VERSION)?;
        let closed_to = EventTime(reader.u64()? as i64);
        let mut open = Open {
            closed_to: (closed_to != EventTime::MIN).then_some(closed_to),
            refused: reader.var()?,
            ..Open::default()
        };
        for _ in 0..reader.len(26)? {
            let start = EventTime(reader.u64()? as i64);
            let key = (Detector(reader.u8()?), reader.u64()?);
            let most = Surprise(reader.u32()?.min(300_000_000));
            let group = Group { most, events: reader.u32()?, alerted: reader.u8()? != 0 };
            if open.windows.entry(start).or_default().insert(key, group).is_some() {
                return Err(Corrupt("a group stands twice"));
            }
            open.groups += 1;
        }
        reader.end()?;
        Ok(open)
    }
}
