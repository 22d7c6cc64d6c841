//! A reader of deflate (RFC 1951) in gzip (RFC 1952) and zlib (RFC 1950), one bit after the other, and a writer of what no
//! compressor would write.

use crate::frames::crc32;
use miniz_oxide::deflate::compress_to_vec;
use veilwire_engine::format::Coding;

/// Why a body cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It ends too early.
    Truncated,
    /// Something follows its end.
    Trailing,
    Damaged,
}

/// What is in a body; an empty one has nothing.
pub fn open(coding: Coding, body: &[u8]) -> Result<Vec<u8>, Broken> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let mut bits = Bits { bytes: body, at: 0 };
    let zlib = match coding {
        Coding::Gzip => {
            gzip_head(&mut bits)?;
            false
        }
        Coding::Deflate => zlib_head(&mut bits)?,
    };
    let content = blocks(&mut bits)?;
    bits.align();
    let number = |size: usize, bits: &mut Bits<'_>| -> Result<Vec<u8>, Broken> {
        (0..size).map(|_| bits.byte()).collect()
    };
    let right = match (coding, zlib) {
        (Coding::Gzip, _) => {
            let length = u32::try_from(content.len()).expect("inputs are short");
            let expected = [crc32(&content).to_le_bytes(), length.to_le_bytes()].concat();
            number(8, &mut bits)? == expected
        }
        (_, true) => number(4, &mut bits)? == adler32(&content).to_be_bytes(),
        _ => true,
    };
    match (right, bits.at == body.len() * 8) {
        (true, true) => Ok(content),
        (true, false) => Err(Broken::Trailing),
        _ => Err(Broken::Damaged),
    }
}

/// A gzip body as the usual compressors write it.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    wrapped(Coding::Gzip, content, compress_to_vec(content, 6), 0)
}

/// Puts head and trailer around deflate data. `style` chooses the fields of a gzip head, or zlib.
pub fn wrapped(coding: Coding, content: &[u8], data: Vec<u8>, style: u8) -> Vec<u8> {
    if coding == Coding::Deflate {
        return match style & 1 {
            0 => [[0x78, 0x9C].as_slice(), &data, &adler32(content).to_be_bytes()].concat(),
            _ => data,
        };
    }
    let mut body = vec![0x1F, 0x8B, 8, style & 0x1F, 0, 0, 0, 0, style >> 5, 255];
    if style & 4 != 0 {
        body.extend_from_slice(&[3, 0, b'a', b'b', 0]);
    }
    for text in [8, 16].iter().filter(|flag| style & **flag != 0).map(|_| b"name\0") {
        body.extend_from_slice(text);
    }
    if style & 2 != 0 {
        let checksum = crc32(&body).to_le_bytes();
        body.extend_from_slice(&checksum[..2]);
    }
    let length = u32::try_from(content.len()).expect("inputs are short");
    [body.as_slice(), &data, &crc32(content).to_le_bytes(), &length.to_le_bytes()].concat()
}

/// Writes blocks that are stored or have the fixed codes, and the content that they stand for.
#[derive(Debug, Default)]
pub struct Writer {
    pub content: Vec<u8>,
    bytes: Vec<u8>,
    bits: usize,
}

impl Writer {
    /// A stored block.
    pub fn stored(&mut self, text: &[u8]) {
        self.push(0, 3);
        self.bits = self.bytes.len() * 8;
        let length = u16::try_from(text.len()).expect("inputs are short");
        for part in [length, !length] {
            self.push(u32::from(part), 16);
        }
        text.iter().for_each(|&byte| self.push(u32::from(byte), 8));
        self.content.extend_from_slice(text);
    }

    /// A block of literals, then of so many matches of this length and distance; none where nothing was written before.
    pub fn fixed(&mut self, text: &[u8], matches: usize, length: usize, distance: usize) {
        self.push(0b010, 3);
        for &byte in text {
            self.literal(u32::from(byte));
        }
        self.content.extend_from_slice(text);
        let distance = distance.min(self.content.len()).min(32_768);
        for _ in 0..if distance == 0 { 0 } else { matches } {
            self.matched(length.clamp(3, 258), distance);
        }
        self.literal(256);
    }

    /// Ends with an empty block.
    pub fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        self.push(0b011, 3);
        self.literal(256);
        (self.bytes, self.content)
    }

    fn matched(&mut self, length: usize, distance: usize) {
        let symbol = LENGTHS.iter().rposition(|(base, _)| *base <= length).expect("at least 3");
        let (base, extra) = LENGTHS[symbol];
        self.literal(u32::try_from(symbol + 257).expect("a symbol"));
        self.push(u32::try_from(length - base).expect("small"), extra);
        let symbol = DISTANCES.iter().rposition(|(base, _)| *base <= distance).expect("at least 1");
        let (base, extra) = DISTANCES[symbol];
        self.code(u32::try_from(symbol).expect("a symbol"), 5);
        self.push(u32::try_from(distance - base).expect("small"), extra);
        for _ in 0..length {
            self.content.push(self.content[self.content.len() - distance]);
        }
    }

    /// The fixed code of a literal or length (RFC 1951, section 3.2.6).
    fn literal(&mut self, symbol: u32) {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xC0 + symbol - 280, 8),
        }
    }

    /// Codes begin with their highest bit.
    fn code(&mut self, code: u32, size: usize) {
        (0..size).rev().for_each(|bit| self.push(code >> bit & 1, 1));
    }

    fn push(&mut self, value: u32, size: usize) {
        for bit in 0..size {
            if self.bits == self.bytes.len() * 8 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::try_from(value >> bit & 1).expect("a bit") << (self.bits % 8);
            }
            self.bits += 1;
        }
    }
}

/// Base and extra bits of the length symbols from 257 on.
const LENGTHS: [(usize, usize); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

const DISTANCES: [(usize, usize); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12_289, 12),
    (16_385, 13),
    (24_577, 13),
];

struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn number(&mut self, size: usize) -> Result<usize, Broken> {
        let mut value = 0;
        for place in 0..size {
            let byte = self.bytes.get(self.at / 8).ok_or(Broken::Truncated)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(value)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        Ok(u8::try_from(self.number(8)?).expect("eight bits"))
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

fn gzip_head(bits: &mut Bits<'_>) -> Result<(), Broken> {
    let start = bits.at;
    for magic in [0x1F, 0x8B, 8] {
        if bits.byte()? != magic {
            return Err(Broken::Damaged);
        }
    }
    let flags = bits.byte()?;
    if flags & 0xE0 != 0 {
        return Err(Broken::Damaged);
    }
    bits.number(48)?;
    if flags & 4 != 0 {
        let size = bits.number(16)?;
        for _ in 0..size {
            bits.byte()?;
        }
    }
    for flag in [8, 16] {
        while flags & flag != 0 && bits.byte()? != 0 {}
    }
    if flags & 2 != 0 {
        let head = &bits.bytes[start / 8..bits.at / 8];
        let expected = crc32(head) & 0xFFFF;
        if bits.number(16)? != usize::try_from(expected).expect("16 bits") {
            return Err(Broken::Damaged);
        }
    }
    Ok(())
}

/// Many send deflate without the head that its name means.
fn zlib_head(bits: &mut Bits<'_>) -> Result<bool, Broken> {
    let start = bits.at;
    let method = bits.byte()?;
    if method & 0x0F == 8 {
        let check = bits.byte()?;
        if method >> 4 <= 7 && u16::from_be_bytes([method, check]) % 31 == 0 {
            return if check & 0x20 == 0 { Ok(true) } else { Err(Broken::Damaged) };
        }
    }
    bits.at = start;
    Ok(false)
}

fn blocks(bits: &mut Bits<'_>) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::new();
    loop {
        let last = bits.number(1)? == 1;
        match bits.number(2)? {
            0 => {
                bits.align();
                let (length, check) = (bits.number(16)?, bits.number(16)?);
                if length ^ check != 0xFFFF {
                    return Err(Broken::Damaged);
                }
                for _ in 0..length {
                    out.push(bits.byte()?);
                }
            }
            1 => {
                let sizes: Vec<usize> = (0..288)
                    .map(|symbol| match symbol {
                        144..256 => 9,
                        256..280 => 7,
                        _ => 8,
                    })
                    .collect();
                symbols(bits, &Codes::new(&sizes, false)?, &Codes::new(&[5; 30], true)?, &mut out)?;
            }
            2 => {
                let (lengths, distances) = dynamic(bits)?;
                symbols(bits, &lengths, &distances, &mut out)?;
            }
            _ => return Err(Broken::Damaged),
        }
        if last {
            return Ok(out);
        }
    }
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Codes, Codes), Broken> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (lengths, distances) = (bits.number(5)? + 257, bits.number(5)? + 1);
    let count = bits.number(4)? + 4;
    if lengths > 286 || distances > 30 {
        return Err(Broken::Damaged);
    }
    let mut sizes = [0; 19];
    for place in ORDER.iter().take(count) {
        sizes[*place] = bits.number(3)?;
    }
    let codes = Codes::new(&sizes, false)?;
    let mut sizes = Vec::new();
    while sizes.len() < lengths + distances {
        let (size, times) = match codes.symbol(bits)? {
            16 => (*sizes.last().ok_or(Broken::Damaged)?, 3 + bits.number(2)?),
            17 => (0, 3 + bits.number(3)?),
            18 => (0, 11 + bits.number(7)?),
            size => (size, 1),
        };
        sizes.extend(std::iter::repeat_n(size, times));
    }
    if sizes.len() > lengths + distances || sizes[256] == 0 {
        return Err(Broken::Damaged);
    }
    Ok((Codes::new(&sizes[..lengths], false)?, Codes::new(&sizes[lengths..], false)?))
}

fn symbols(bits: &mut Bits<'_>, codes: &Codes, far: &Codes, out: &mut Vec<u8>) -> Result<(), Broken> {
    loop {
        let symbol = codes.symbol(bits)?;
        if symbol < 256 {
            out.push(u8::try_from(symbol).expect("a literal"));
            continue;
        }
        if symbol == 256 {
            return Ok(());
        }
        let (base, extra) = LENGTHS.get(symbol - 257).ok_or(Broken::Damaged)?;
        let length = base + bits.number(*extra)?;
        let (base, extra) = DISTANCES.get(far.symbol(bits)?).ok_or(Broken::Damaged)?;
        let distance = base + bits.number(*extra)?;
        for _ in 0..length {
            let from = out.len().checked_sub(distance).ok_or(Broken::Damaged)?;
            out.push(out[from]);
        }
    }
}

/// A canonical Huffman code: how many codes of each size there are, and their symbols in order.
struct Codes {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Codes {
    /// `open`: some codes may mean nothing.
    fn new(sizes: &[usize], open: bool) -> Result<Codes, Broken> {
        let mut counts = [0; 16];
        let mut symbols: Vec<usize> = (0..sizes.len()).filter(|symbol| sizes[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| sizes[*symbol]);
        symbols.iter().for_each(|symbol| counts[sizes[*symbol]] += 1);
        let mut left = 1_usize;
        for count in &counts[1..] {
            left = (left * 2).checked_sub(*count).ok_or(Broken::Damaged)?;
        }
        // One code alone may leave the other half unused.
        let lone = symbols.len() <= 1 && symbols.len() == counts[1];
        if left > 0 && !lone && !open { Err(Broken::Damaged) } else { Ok(Codes { counts, symbols }) }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Broken> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.number(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Broken::Damaged)
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}
