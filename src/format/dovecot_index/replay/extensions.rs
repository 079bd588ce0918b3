//! Records of a log that change extensions, keywords among them.

use zerocopy::IntoBytes;

use super::super::base::{EXTENSIONS_MOST, extension_name};
use super::super::index::Extension;
use super::super::keywords::Names;
use super::super::layout::{AtomicInc, ExtIntro, KEYWORDS, RECORD_MOST, UidRange};
use super::super::log::{next_intro, padded, rest_of};
use super::super::refused;
use super::{Applied, COLUMNS_MOST, How, Replay, Selected, are_ranges, nothing_left};
use crate::bytes::{Cursor, Decode};

/// Header data of all extensions together at most.
const HEADERS_MOST: usize = 16 << 20;
/// The flag of an introduction that lets sizes only grow.
const NO_SHRINK: u16 = 1;

impl Replay {
    pub(super) fn introduce_all(
        &mut self,
        body: &mut Cursor<'_>,
        faults: &mut Option<Decode>,
    ) -> Applied {
        while let Some(intro) = next_intro(body) {
            self.selected = None;
            let (intro, name) = intro?;
            if let Some(why) = refused::intro(intro, name) {
                faults.get_or_insert(body.broken("extension intro", why));
            }
            self.introduce(intro, name)
                .map_err(|why| body.broken("extension intro", why))?;
        }
        let is_padding = body.rest().iter().all(|byte| *byte == 0);
        nothing_left(body, if is_padding { 0 } else { body.rest().len() })
    }

    fn introduce(&mut self, intro: &ExtIntro, name: &[u8]) -> Result<(), String> {
        let id = match intro.ext_id.get() {
            u32::MAX => self.named(name)?,
            id if (id as usize) < self.ids() => id as usize,
            id => return Err(format!("there is no extension {id}")),
        };
        if id == self.map.extensions.len() {
            self.check_extension(name)?;
            self.add_extension(name, intro.reset_id.get());
        } else if self.map.extensions[id].name == KEYWORDS {
            return Err("keywords are changed by records of their own only".into());
        }
        let ignored = self.map.extensions[id].reset_id != intro.reset_id.get();
        if !ignored {
            self.resize(id, intro)?;
        }
        self.selected = Some(Selected {
            id,
            record_size: intro.record_size.get(),
            reset_id: intro.reset_id.get(),
            ignored,
        });
        Ok(())
    }

    /// Ids below mean the extensions that are known.
    fn ids(&self) -> usize {
        self.certain_ids.unwrap_or(self.map.extensions.len())
    }

    /// The id of the extension of that name, or the next free one.
    fn named(&self, name: &[u8]) -> Result<usize, String> {
        if name.is_empty() {
            return Err("neither id nor name".into());
        }
        let mut all = self.map.extensions.iter();
        let known = all.position(|ext| ext.name.as_bytes() == name);
        Ok(known.unwrap_or(self.map.extensions.len()))
    }

    fn check_extension(&self, name: &[u8]) -> Result<(), String> {
        if name == KEYWORDS.as_bytes() {
            return Err("keywords are changed by records of their own only".into());
        }
        if extension_name(name).is_none() {
            return Err("the name is not printable ASCII".into());
        }
        if self.map.extensions.len() >= EXTENSIONS_MOST {
            return Err("too many extensions".into());
        }
        Ok(())
    }

    fn add_extension(&mut self, name: &[u8], reset_id: u32) {
        self.map.extensions.push(Extension {
            name: String::from_utf8_lossy(name).into(),
            reset_id,
            ..Extension::default()
        });
    }

    fn resize(&mut self, id: usize, intro: &ExtIntro) -> Result<(), String> {
        // What was smaller at some time may have grown since, and has data.
        let no_shrink = intro.flags.get() & NO_SHRINK != 0 || self.how == How::Again;
        let (header, record) = (intro.hdr_size.get() as usize, intro.record_size.get());
        let old = &self.map.extensions[id];
        let same_padded = header.next_multiple_of(8) == old.header.len().next_multiple_of(8);
        if header > old.header.len() || same_padded || !no_shrink {
            self.resize_header(id, header)?;
        }
        let old = &mut self.map.extensions[id];
        if old.record_align < intro.record_align.get() || !no_shrink {
            old.record_align = intro.record_align.get();
        }
        if record > old.record_size || !no_shrink {
            self.resize_records(id, record)?;
        }
        Ok(())
    }

    fn resize_header(&mut self, id: usize, size: usize) -> Result<(), String> {
        let headers: usize = self.map.extensions.iter().map(|ext| ext.header.len()).sum();
        let extension = &mut self.map.extensions[id];
        if headers - extension.header.len() + size > HEADERS_MOST {
            return Err(format!("{size} bytes of header data are too many"));
        }
        extension.header.resize(size, 0);
        Ok(())
    }

    fn resize_records(&mut self, id: usize, size: u16) -> Result<(), String> {
        let extension = &mut self.map.extensions[id];
        let width = self.width - usize::from(extension.record_size) + usize::from(size);
        let count = self.map.uids.len();
        if width >= RECORD_MOST || width.saturating_mul(count) > COLUMNS_MOST {
            return Err(format!("{size} bytes a message are too many"));
        }
        extension.resize_records(size, count);
        self.width = width;
        Ok(())
    }

    fn selected(&self, body: &Cursor<'_>) -> Result<Selected, Decode> {
        let without = || body.broken("extension update", "without an introduction before it");
        self.selected.ok_or_else(without)
    }

    pub(super) fn reset_extension(&mut self, body: &mut Cursor<'_>) -> Applied {
        let mut selected = self.selected(body)?;
        let new_id = body.u32("new reset_id")?;
        // Old versions write nothing more.
        let preserve = body.rest().first().is_some_and(|preserve| *preserve != 0);
        let extension = &mut self.map.extensions[selected.id];
        extension.reset_id = new_id;
        if !preserve {
            extension.header.fill(0);
            extension.column.fill(0);
        }
        selected.ignored = selected.reset_id != new_id;
        self.selected = Some(selected);
        Ok(())
    }

    pub(super) fn short_place(body: &mut Cursor<'_>) -> Result<(usize, usize), Decode> {
        let offset = body.u16("offset")?.into();
        Ok((offset, body.u16("size")?.into()))
    }

    pub(super) fn long_place(body: &mut Cursor<'_>) -> Result<(usize, usize), Decode> {
        let offset = body.u32("offset")? as usize;
        Ok((offset, body.u32("size")? as usize))
    }

    pub(super) fn update_extension_header(
        &mut self,
        body: &mut Cursor<'_>,
        place: fn(&mut Cursor<'_>) -> Result<(usize, usize), Decode>,
    ) -> Applied {
        let selected = self.selected(body)?;
        if selected.ignored {
            return Ok(());
        }
        let header = &mut self.map.extensions[selected.id].header;
        while !body.is_empty() {
            let (offset, size) = place(body)?;
            let data = padded(body, "extension header update", size)?;
            let there = header.get_mut(offset..offset.saturating_add(size));
            there
                .ok_or_else(|| body.broken("extension header update", "is outside"))?
                .copy_from_slice(data);
        }
        Ok(())
    }

    pub(super) fn update_records(&mut self, body: &mut Cursor<'_>) -> Applied {
        let selected = self.selected(body)?;
        let next_uid = self.map.header.next_uid;
        let mut none = None;
        while !selected.ignored && !body.is_empty() {
            let uid = body.u32("uid")?;
            let data = padded(body, "extension record", selected.record_size.into())?;
            if uid == 0 || uid >= next_uid.get() {
                none.get_or_insert(uid);
            }
            let Some(nth) = self.position(uid) else {
                continue;
            };
            // The field may be larger than what this transaction knew of.
            let field = self.map.extensions[selected.id].record_mut(nth);
            let known = data.len().min(field.len());
            field[..known].copy_from_slice(&data[..known]);
            field[known..].fill(0);
        }
        none.map_or(Ok(()), |uid| {
            let why = format!("one is of UID {uid}, but next is {next_uid}");
            Err(body.broken("extension record", why))
        })
    }

    pub(super) fn increment_records(&mut self, body: &mut Cursor<'_>) -> Applied {
        let selected = self.selected(body)?;
        if selected.ignored {
            return Ok(());
        }
        let (increments, over) = rest_of::<AtomicInc>(body);
        let next_uid = self.map.header.next_uid;
        for increment in increments {
            if increment.uid == 0 || increment.uid >= next_uid {
                let why = format!("UID {}, but next is {next_uid}", increment.uid);
                return Err(body.broken("extension increment", why));
            }
            let Some(nth) = self.position(increment.uid.get()) else {
                continue;
            };
            let field = self.map.extensions[selected.id].record_mut(nth);
            let field = field.get_mut(..selected.record_size.into());
            let done = field.and_then(|field| add(field, increment.diff.get()));
            done.ok_or_else(|| body.broken("extension increment", "does not fit its field"))?;
        }
        nothing_left(body, over)
    }

    pub(super) fn update_keyword(&mut self, body: &mut Cursor<'_>) -> Applied {
        let change = body.take("keyword change", 2)?[0];
        if change > 1 {
            return Err(body.broken("keyword change", format!("{change} is none")));
        }
        let adds = change == 0;
        let size = body.u16("keyword name size")?.into();
        let name = padded(body, "keyword name", size)?;
        if name.is_empty() || name.contains(&0) {
            return Err(body.broken("keyword name", "cannot be one"));
        }
        let (id, bit) = self
            .keyword(name)
            .map_err(|why| body.broken("keyword name", why))?;
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        let (ranges, over) = rest_of::<UidRange>(body);
        for range in ranges {
            for nth in self.span(*range) {
                let field = self.map.extensions[id].record_mut(nth);
                match field.get_mut(byte) {
                    Some(bits) if adds => *bits |= mask,
                    Some(bits) => *bits &= !mask,
                    None => {}
                }
            }
        }
        are_ranges(body, ranges)?;
        nothing_left(body, over)
    }

    /// Extension and bit of a keyword. The first keyword of a mailbox makes the extension, which so
    /// takes an id without any introduction.
    fn keyword(&mut self, name: &[u8]) -> Result<(usize, usize), String> {
        let id = self.named(KEYWORDS.as_bytes())?;
        if id == self.map.extensions.len() {
            if id >= EXTENSIONS_MOST {
                return Err("too many extensions".into());
            }
            self.add_extension(KEYWORDS.as_bytes(), 0);
            self.map.extensions[id].record_align = 1;
        }
        let header = &self.map.extensions[id].header;
        let names = self.names.get_or_insert_with(|| Names::of(header));
        let bit = names.bit(name);
        let needed = names.len().div_ceil(8);
        if needed > self.map.extensions[id].record_size.into() {
            // As the server does: one byte more than needed, for the next ones.
            let roomy = needed + usize::from(!needed.is_multiple_of(4));
            let size = u16::try_from(roomy).map_err(|_| "too many keywords")?;
            self.resize_records(id, size)?;
            self.selected = None;
        }
        Ok((id, bit))
    }

    pub(super) fn reset_keywords(&mut self, body: &mut Cursor<'_>) -> Applied {
        let (ranges, over) = rest_of::<UidRange>(body);
        are_ranges(body, ranges)?;
        let mut all = self.map.extensions.iter();
        if let Some(id) = all.position(|ext| ext.name == KEYWORDS) {
            for range in ranges {
                for nth in self.span(*range) {
                    self.map.extensions[id].record_mut(nth).fill(0);
                }
            }
        }
        nothing_left(body, over)
    }
}

/// Adds to a little-endian number of 1, 2, 4 or 8 bytes; `None` where it would not hold the sum.
fn add(field: &mut [u8], diff: i32) -> Option<()> {
    if !matches!(field.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    let mut wide = [0; 8];
    wide[..field.len()].copy_from_slice(field);
    let sum = u64::from_le_bytes(wide).checked_add_signed(diff.into())?;
    let (low, high) = sum.as_bytes().split_at(field.len());
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    field.copy_from_slice(low);
    Some(())
}
