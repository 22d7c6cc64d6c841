//! Texts that are hard for a scan: made-up secrets, whole, mutated, cut and joined.

/// A small deterministic generator (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn string(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const WORDS: [&str; 12] =
    ["the", "agent", "asked", "for", "sk", "ant", "proj", "a", "invoice", "AKIA", "mail", "x_y"];

fn secret(random: &mut Random) -> String {
    match random.below(16) {
        0 | 1 => {
            let top = random.pick(&["com", "io", "co.uk", "example.org", "museum"]);
            format!("{}.{}@{}.{top}", random.pick(&WORDS), random.pick(&WORDS), random.pick(&WORDS))
        }
        2 => {
            let length = 55 + random.below(20);
            random.string(b"abAB01._%+-", length) + "@mail.example.com"
        }
        3 => format!("{}@a.b.c.d.example.co", random.string(b"a.", 3)),
        4 => "4111 1111 1111 1111".into(),
        5 => "5555555555554444".into(),
        6 => "3782-822463-10005".into(),
        7 => format!("{} {}", random.string(b"23456", 4), random.string(b"0123456789", 12)),
        8 => {
            format!("{}-{}-{}", random.pick(&["123", "666", "000", "899"]), random.pick(&["45", "00"]), 6789)
        }
        9 => random.string(b"0123456789", 3) + "-45-6789",
        10 => format!(
            "{}{}",
            random.pick(&["AKIA", "ASIA"]),
            random.string(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
        ),
        11 => format!("sk-proj-{}", random.string(LETTERS, 40)),
        12 => format!("sk-{}", random.string(LETTERS, 22)),
        13 => format!("sk-ant-api03-{}", random.string(b"abcXYZ019_-", 30)),
        14 => format!("sk-sk-ant-sk-{}", random.string(b"ask-", 30)),
        _ => format!("sk-svcacct-sk-ant-a1b2-{}", random.string(b"sk-ant", 28)),
    }
}

/// Two to five pieces: secrets whole or cut, words, noise, repeats; joined by what stresses boundaries; then some bytes
/// are changed.
pub(crate) fn secrets(random: &mut Random) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::new();
    for _ in 0..1 + random.below(5) {
        match random.below(9) {
            0..=4 => {
                let secret = secret(random).into_bytes();
                let from = if random.below(3) == 0 { random.below(secret.len()) } else { 0 };
                let cut = random.below(3) == 0;
                let to = if cut { from + random.below(secret.len() - from + 1) } else { secret.len() };
                text.extend_from_slice(&secret[from..to]);
            }
            5 => text.extend_from_slice(random.pick(&WORDS).as_bytes()),
            6 => {
                let length = random.below(20);
                text.extend_from_slice(random.string(b"0123456789.-@ ABsk\n\r+_", length).as_bytes());
            }
            7 => {
                let from = random.below(text.len().max(1));
                let again: Vec<u8> = text.iter().skip(from).take(60).copied().collect();
                text.extend_from_slice(&again);
            }
            _ => {
                for _ in 0..random.below(4) {
                    text.push(random.below(256) as u8);
                }
            }
        }
        text.extend_from_slice(
            random.pick(&["", "", " ", " ", "-", ".", "_", "@", ":", "\": \"", ",\n", "\r\n"]).as_bytes(),
        );
    }
    text.truncate(260);
    for _ in 0..random.below(3) {
        if !text.is_empty() {
            let at = random.below(text.len());
            text[at] = b"0123456789abkAKZ-._@: "[random.below(22)];
        }
    }
    text
}

/// Mostly digits, with separators.
pub(crate) fn digits(random: &mut Random) -> Vec<u8> {
    let length = random.below(90);
    let alphabet = random.pick(&[
        b"0123456789".as_slice(),
        b"01234567890123456789 -",
        b"012345678901234567890123456789-",
        b"05@-",
    ]);
    random.string(alphabet, length).into_bytes()
}

/// Prefixes, near words and values at all distances.
pub(crate) fn conditions(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..1 + random.below(12) {
        let digits = 1 + random.below(7);
        match random.below(12) {
            0 => text += random.pick(&["pin", "Pin", "PIN", "code", "CODE", "ssn", "mail", "pi", "cod"]),
            1 => text += random.pick(&["password", "Pass", "pass", "pw", "key", "#", "passpassword"]),
            2 => text += random.pick(&["=", ":", " = ", ": ", "==", "  ", "="]),
            3 => text += &random.string(b"0123456789", digits),
            4 => text += "519-12-1204",
            5 => text += random.pick(&["AB1234", "ab@cd", "q7w2e9r4t1", "changeme", "aaaaaaaa", "hunter2"]),
            6 if random.below(2) == 0 => text += &"x ".repeat(random.below(20)),
            6 => {
                text += random.pick(&[
                    "pw=ab1",
                    "key = q7w2e9r4t1",
                    "key=changeme1",
                    "mail ab@cd",
                    "PIN #519 ",
                    "code 123-4567",
                ])
            }
            7 => text += &random.string(b"pincode", digits),
            _ => text += random.pick(&["", " ", "\n", "-", "_", ", "]),
        }
    }
    text.truncate(220);
    text.into_bytes()
}

/// Over the alphabet of [`pattern`].
pub(crate) fn tiny(random: &mut Random) -> Vec<u8> {
    let length = random.below(40);
    let alphabet = random.pick(&[b"ab-".as_slice(), b"aaab-@", b"a@", b"ab-@ \n"]);
    random.string(alphabet, length).into_bytes()
}

/// A random expression over `a`, `b`, `-` and `@`.
pub(crate) fn pattern(random: &mut Random) -> String {
    if random.below(4) == 0 {
        let class = random.pick(&["[ab]", "a", "[ab-]", "[a-b]"]);
        return format!("{class}{{1,{}}}@{}", 1 + random.below(6), concat(random, 2));
    }
    let body = concat(random, 3);
    let (before, after) = (random.below(3) == 0, random.below(4) == 0);
    format!("{}{body}{}", if before { r"\b" } else { "" }, if after { r"\b" } else { "" })
}

fn concat(random: &mut Random, depth: usize) -> String {
    (0..1 + random.below(3)).map(|_| piece(random, depth)).collect()
}

fn piece(random: &mut Random, depth: usize) -> String {
    let atom = match random.below(if depth == 0 { 5 } else { 8 }) {
        0 | 1 => "a".into(),
        2 => "b".into(),
        3 => "[ab]".into(),
        4 => random.pick(&["-", "@", "[^a]", r"\b"]).to_string(),
        5 => format!("(?:{}|{})", concat(random, depth - 1), concat(random, depth - 1)),
        _ => format!("(?:{})", concat(random, depth - 1)),
    };
    if atom == r"\b" {
        return atom;
    }
    let low = random.below(3);
    match random.below(9) {
        0 => format!("{atom}+"),
        1 => format!("{atom}?"),
        2 => format!("{atom}{{{low},{}}}", low + 1 + random.below(4)),
        3 => format!("{atom}{{{low},}}"),
        _ => atom,
    }
}
