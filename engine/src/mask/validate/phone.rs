//! Telephone numbers: country codes with the lengths of what follows, and what only looks like a number of a country.

use super::digits::{is_constant, is_date, number};

/// Most digits of a number with its prefix (ITU-T E.164 has 15 without it).
const MOST: usize = 20;

/// ITU-T E.164: a country code that is assigned, and as many digits as its numbers have.
///
/// A trunk zero in parentheses, as in `+44 (0)20`, does not count, nor does one that begins the second group, nor an extension.
pub(super) fn international(matched: &[u8]) -> bool {
    let mut groups = Groups::default();
    if !groups.read(matched) {
        return false;
    }
    let digits = groups.digits();
    match digits {
        // What stands for the plus sign: in North America, and in most other countries.
        _ if matched.contains(&b'+') => has_country(digits),
        [0, 1, 1, rest @ ..] | [0, 0, rest @ ..] => has_country(rest),
        _ => false,
    }
}

/// Do a country code, and as many digits as its numbers have, stand here?
fn has_country(digits: &[u8]) -> bool {
    let fits = |length: usize| {
        let (code, rest) = digits.split_at_checked(length)?;
        let code = u16::try_from(number(code)).ok()?;
        let place = COUNTRIES.binary_search_by_key(&code, |&(known, ..)| known).ok()?;
        let &(_, least, most) = COUNTRIES.get(place)?;
        let trunk = usize::from(rest.first() == Some(&0));
        let lengths = usize::from(least)..=usize::from(most);
        Some(lengths.contains(&rest.len()) || lengths.contains(&(rest.len() - trunk)))
    };
    (1..=3).any(|length| fits(length) == Some(true)) && !digits.get(1..).is_some_and(is_constant)
}

/// Groups as numbering plans have them, without anything that says so: eight to thirteen digits, and not what tables have: groups
/// that are all round or rise from each to the next, or three values of at most 255 and the like.
pub(super) fn grouped(matched: &[u8]) -> bool {
    let mut groups = Groups::default();
    if !groups.read(matched) || !(8..=13).contains(&groups.count) || is_constant(groups.digits()) {
        return false;
    }
    let all = || (0..groups.used).map(|place| number(groups.group(place)));
    let rises = all().zip(all().skip(1)).all(|(one, next)| one < next);
    let is_round = all().all(|group| group.is_multiple_of(10));
    let is_even = (1..groups.used).all(|place| groups.group(place).len() == groups.group(0).len());
    let is_small = is_even && groups.used == 3 && number(groups.group(0)) < 256;
    let is_row = is_even && rises && matched.contains(&b' ');
    if is_round || is_small || is_row {
        return false;
    }
    // With one to three digits and a dash in front of ten and more it says its country.
    let is_abroad = matched.get(1..4).is_some_and(|begin| begin.contains(&b'-')) && groups.count > 10;
    !is_abroad || has_country(groups.digits())
}

/// A number as it is written inside a country: six to thirteen digits (nine if a zero begins them) in groups that are no date, no year with pages, and no row
/// of one digit.
pub(super) fn national(matched: &[u8]) -> bool {
    // A zero in front stands for the country: then nothing of the number is left out.
    let is_short = |groups: &Groups| {
        groups.digits().starts_with(&[0]) && matched.first() != Some(&b'(') && groups.count < 9
    };
    dialled(matched).is_some_and(|groups| !is_short(&groups))
}

/// The same behind a word for a telephone, where a zero may begin a short number too.
pub(super) fn near(matched: &[u8]) -> bool {
    dialled(matched).is_some()
}

/// Six to thirteen digits that are no date, no year with pages, and no row of one digit.
fn dialled(matched: &[u8]) -> Option<Groups> {
    let mut groups = Groups::default();
    if !groups.read(matched) || !(6..=13).contains(&groups.count) {
        return None;
    }
    let year = |digits: &[u8]| digits.len() == 4 && matches!(number(digits), 1900..=2099);
    let day = |digits: &[u8]| digits.len() <= 2;
    let dated = match (groups.group(0), groups.group(1), groups.group(2)) {
        // The groups of a social security number of the United States.
        ([_, _, _], [_, _], [_, _, _, _]) => groups.used == 3,
        (a, b, []) if year(a) => year(b) || day(b),
        // 2004-12-06, and 06.12.2004 in either order; what follows may be a time.
        (a, b, c) if year(a) && day(b) && day(c) => is_date(number(c), number(b)),
        (a, b, c) if day(a) && day(b) && year(c) => {
            is_date(number(a), number(b)) || is_date(number(b), number(a))
        }
        _ => false,
    };
    let cited = matched.first() == Some(&b'(') && year(groups.group(0));
    (!dated && !cited && !is_constant(groups.digits())).then_some(groups)
}

/// The digits of a number in the groups in which it is written.
struct Groups {
    digits: [u8; MOST],
    count: usize,
    /// Where groups begin.
    starts: [usize; 8],
    used: usize,
}

impl Default for Groups {
    fn default() -> Groups {
        Groups { digits: [0; MOST], count: 0, starts: [0; 8], used: 0 }
    }
}

impl Groups {
    /// Reads up to an extension; `false` if there are more digits than any number has.
    fn read(&mut self, matched: &[u8]) -> bool {
        let mut rest = matched;
        let mut inside = false;
        while let Some((&byte, after)) = rest.split_first() {
            if rest.starts_with(b"(0)") && self.count > 0 {
                rest = rest.get(3..).unwrap_or_default();
                inside = false;
                continue;
            }
            rest = after;
            if matches!(byte, b'x' | b'X' | b'e' | b'E' | b'#' | b';' | b',') {
                break;
            }
            if !byte.is_ascii_digit() {
                inside = false;
                continue;
            }
            if !inside {
                if let Some(start) = self.starts.get_mut(self.used) {
                    *start = self.count;
                    self.used += 1;
                }
                inside = true;
            }
            let Some(place) = self.digits.get_mut(self.count) else { return false };
            *place = byte - b'0';
            self.count += 1;
        }
        true
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    /// The digits of one group; nothing if there are fewer groups.
    fn group(&self, place: usize) -> &[u8] {
        if place >= self.used {
            return &[];
        }
        let from = self.starts.get(place).copied().unwrap_or(0);
        let next = self.starts.get(place + 1).copied().filter(|_| place + 1 < self.used);
        self.digits.get(from..next.unwrap_or(self.count)).unwrap_or_default()
    }
}

/// Country codes, with the fewest and the most digits of a number behind them.
///
/// Source: ITU-T E.164 assigned country codes; lengths as in the metadata of libphonenumber 9.0.43 (Apache-2.0), but at least
/// seven (six in Germany) in countries that use shorter ones for services only.
const COUNTRIES: [(u16, u8, u8); 215] = [
    (1, 10, 10),
    (7, 10, 10),
    (20, 8, 10),
    (27, 7, 10),
    (30, 10, 12),
    (31, 7, 11),
    (32, 8, 9),
    (33, 9, 9),
    (34, 9, 9),
    (36, 8, 9),
    (39, 7, 12),
    (40, 7, 9),
    (41, 9, 12),
    (43, 7, 13),
    (44, 7, 10),
    (45, 8, 8),
    (46, 7, 12),
    (47, 7, 8),
    (48, 7, 10),
    (49, 6, 13),
    (51, 8, 9),
    (52, 10, 10),
    (53, 7, 10),
    (54, 10, 11),
    (55, 8, 11),
    (56, 9, 11),
    (57, 8, 11),
    (58, 10, 10),
    (60, 8, 10),
    (61, 7, 12),
    (62, 7, 13),
    (63, 7, 13),
    (64, 7, 10),
    (65, 8, 11),
    (66, 8, 13),
    (81, 8, 13),
    (82, 7, 13),
    (84, 7, 10),
    (86, 7, 12),
    (90, 7, 13),
    (91, 8, 13),
    (92, 8, 12),
    (93, 9, 9),
    (94, 9, 9),
    (95, 7, 10),
    (98, 7, 10),
    (211, 9, 9),
    (212, 9, 9),
    (213, 8, 9),
    (216, 8, 8),
    (218, 9, 9),
    (220, 7, 9),
    (221, 9, 9),
    (222, 8, 8),
    (223, 8, 8),
    (224, 8, 9),
    (225, 10, 10),
    (226, 8, 8),
    (227, 8, 8),
    (228, 8, 8),
    (229, 10, 10),
    (230, 7, 10),
    (231, 7, 9),
    (232, 8, 8),
    (233, 8, 9),
    (234, 10, 12),
    (235, 8, 8),
    (236, 8, 8),
    (237, 8, 9),
    (238, 7, 7),
    (239, 7, 7),
    (240, 9, 9),
    (241, 7, 8),
    (242, 9, 9),
    (243, 7, 10),
    (244, 9, 9),
    (245, 7, 9),
    (246, 7, 7),
    (247, 5, 6),
    (248, 7, 7),
    (249, 9, 9),
    (250, 8, 9),
    (251, 9, 9),
    (252, 7, 9),
    (253, 8, 8),
    (254, 7, 10),
    (255, 9, 9),
    (256, 9, 9),
    (257, 8, 8),
    (258, 8, 9),
    (260, 9, 9),
    (261, 9, 9),
    (262, 9, 9),
    (263, 7, 10),
    (264, 8, 9),
    (265, 7, 9),
    (266, 8, 8),
    (267, 7, 10),
    (268, 8, 9),
    (269, 7, 7),
    (290, 4, 5),
    (291, 7, 7),
    (297, 7, 7),
    (298, 6, 6),
    (299, 6, 6),
    (350, 8, 8),
    (351, 9, 9),
    (352, 7, 11),
    (353, 7, 10),
    (354, 7, 9),
    (355, 7, 9),
    (356, 8, 8),
    (357, 8, 8),
    (358, 7, 12),
    (359, 7, 12),
    (370, 8, 8),
    (371, 8, 8),
    (372, 7, 10),
    (373, 8, 8),
    (374, 8, 8),
    (375, 7, 11),
    (376, 6, 9),
    (377, 8, 9),
    (378, 8, 10),
    (380, 9, 10),
    (381, 7, 12),
    (382, 8, 9),
    (383, 8, 12),
    (385, 7, 9),
    (386, 7, 8),
    (387, 8, 9),
    (389, 8, 8),
    (420, 9, 12),
    (421, 7, 9),
    (423, 7, 9),
    (500, 5, 5),
    (501, 7, 11),
    (502, 8, 11),
    (503, 7, 11),
    (504, 8, 11),
    (505, 8, 8),
    (506, 8, 10),
    (507, 7, 11),
    (508, 6, 9),
    (509, 8, 8),
    (590, 9, 9),
    (591, 8, 9),
    (592, 7, 7),
    (593, 8, 11),
    (594, 9, 9),
    (595, 7, 11),
    (596, 9, 9),
    (597, 7, 7),
    (598, 7, 12),
    (599, 7, 8),
    (670, 7, 8),
    (672, 6, 6),
    (673, 7, 7),
    (674, 7, 7),
    (675, 7, 8),
    (676, 5, 7),
    (677, 5, 7),
    (678, 5, 7),
    (679, 7, 11),
    (680, 7, 7),
    (681, 6, 9),
    (682, 5, 5),
    (683, 4, 7),
    (685, 5, 10),
    (686, 5, 8),
    (687, 6, 6),
    (688, 5, 7),
    (689, 6, 9),
    (690, 4, 7),
    (691, 7, 7),
    (692, 7, 7),
    (800, 8, 8),
    (808, 8, 8),
    (850, 8, 10),
    (852, 7, 11),
    (853, 7, 8),
    (855, 8, 10),
    (856, 8, 10),
    (870, 9, 12),
    (878, 12, 12),
    (880, 7, 10),
    (881, 9, 10),
    (882, 7, 12),
    (883, 8, 12),
    (886, 7, 11),
    (888, 11, 11),
    (960, 7, 10),
    (961, 7, 8),
    (962, 8, 9),
    (963, 8, 9),
    (964, 8, 10),
    (965, 7, 8),
    (966, 9, 10),
    (967, 7, 9),
    (968, 7, 9),
    (970, 8, 10),
    (971, 7, 12),
    (972, 7, 12),
    (973, 8, 8),
    (974, 7, 11),
    (975, 7, 8),
    (976, 8, 10),
    (977, 8, 11),
    (979, 9, 9),
    (992, 9, 9),
    (993, 8, 8),
    (994, 9, 9),
    (995, 9, 9),
    (996, 9, 10),
    (998, 9, 9),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_country_code_have_its_length() {
        for good in [
            "+1-984-182-0190",
            "+46 (0)8 928 571 38",
            "+447700677662",
            "0041 44 668 18 00",
            "011 49 30 901820",
            "+24740123",
            "+1 650 253 0000 ext. 1234",
            "+1-448-414-3381x060",
        ] {
            assert!(international(good.as_bytes()), "{good}");
        }
        for bad in [
            "+1 650 253 000",
            "+999 123456789",
            "+1 650 253 00000",
            "+49",
            "+11111111111",
            "650 253 0000",
            "",
            "+",
        ] {
            assert!(!international(bad.as_bytes()), "{bad}");
        }
        assert!(COUNTRIES.is_sorted_by_key(|&(code, ..)| code));
    }

    #[test]
    fn a_trunk_zero_behind_the_country_does_not_count() {
        assert!(international(b"0044 07456934723") && international(b"+49 0171 2345678"));
        assert!(!international(b"+44 007456934723"));
    }

    #[test]
    fn small_countries_have_short_numbers() {
        for good in ["+376712345", "+67620123", "+690 3101", "+685 20123"] {
            assert!(international(good.as_bytes()), "{good}");
        }
        assert!(!international(b"+49 12345"));
    }

    #[test]
    fn groups_of_tables_are_no_numbers() {
        for good in ["22 41 62 13", "655 437 108", "612 34 56 78", "1800 425 3800", "62-899-7401-2346"] {
            assert!(grouped(good.as_bytes()), "{good}");
        }
        for bad in [
            "10 20 30 40",
            "12 23 34 45",
            "200 255 128",
            "300 400 500",
            "99-899-7401-2346",
            "22 22 22 22",
            "",
        ] {
            assert!(!grouped(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_short_number_needs_a_word() {
        assert!(near(b"08000700") && !national(b"08000700"));
        assert!(!near(b"2004-12-06") && !near(b"12345"));
    }

    #[test]
    fn dates_years_and_rows_are_no_numbers() {
        for good in [
            "0494 92 82 32",
            "06-24312407",
            "(85) 5986-8343",
            "358 0594",
            "33 93 31",
            "2004 1234",
            "01 23 45 67 89",
        ] {
            assert!(national(good.as_bytes()), "{good}");
        }
        for bad in [
            "2004-12-06",
            "06-12-2004",
            "12/31/1999",
            "2004-12-06 11",
            "2004-12",
            "02-2003",
            "1999-2004",
            "(2004) 123-456",
            "00000000",
            "12345",
            "12345678901234",
        ] {
            assert!(!national(bad.as_bytes()), "{bad}");
        }
    }
}
