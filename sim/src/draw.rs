//! Deterministic draws: the same seed and the same words give the same number, on every machine and in every version.

/// A stream of pseudo-random numbers that depends only on what was mixed into it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(finish(seed ^ 0x9E37_79B9_7F4A_7C15))
    }

    /// Mixes a number in.
    pub(crate) fn with(self, value: u64) -> Draw {
        Draw(finish(self.0 ^ value.wrapping_mul(0xD6E8_FEB8_6659_FD93).wrapping_add(0x1656_67B1)))
    }

    /// Mixes a text in.
    pub(crate) fn text(self, text: &str) -> Draw {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.with(hash)
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        finish(self.0)
    }

    /// The next number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next number below `bound`; zero for a bound of zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }

    /// A draw from a lognormal distribution with this median and this sigma of its logarithm.
    pub(crate) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let (first, second) = (self.unit().max(f64::MIN_POSITIVE), self.unit());
        let normal = (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos();
        median * (sigma * normal).exp()
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.bits()));
        }
        text.truncate(digits);
        text
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            8 + ((low >> 60) & 3),
            (low >> 48) & 0xFFF,
            low & 0xFFFF_FFFF_FFFF
        )
    }

    /// Printable text in lines, different for every stream: `count` bytes of it from a position on.
    pub(crate) fn printable_part(self, from: u64, count: usize) -> Vec<u8> {
        const WORD: u64 = 17;
        let mut word = from / WORD;
        let mut skip = (from % WORD) as usize;
        let mut text = Vec::with_capacity(count + WORD as usize);
        while text.len() < count {
            let state = self.0.wrapping_add(STEP.wrapping_mul(word + 1));
            let end = if word % 4 == 3 { '\n' } else { ' ' };
            let letters = format!("{:016x}{end}", finish(state));
            text.extend(letters.bytes().skip(skip));
            skip = 0;
            word += 1;
        }
        text.truncate(count);
        text
    }

    /// Bytes of all values: `count` of them from a position on.
    pub(crate) fn noise_part(self, from: u64, count: usize) -> Vec<u8> {
        let (mut word, mut skip) = (from / 8, (from % 8) as usize);
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            let state = self.0.wrapping_add(STEP.wrapping_mul(word + 1));
            bytes.extend(finish(state).to_le_bytes().into_iter().skip(skip));
            (word, skip) = (word + 1, 0);
        }
        bytes.truncate(count);
        bytes
    }
}

/// What the state grows by with every number.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn finish(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_words_same_numbers() {
        let mut one = Draw::new(1).text("web-1").with(3);
        let mut two = Draw::new(1).text("web-1").with(3);
        assert_eq!(one.bits(), two.bits());
        assert_ne!(Draw::new(1).bits(), Draw::new(2).bits());
    }

    #[test]
    fn run_times_look_like_a_fleet() {
        let mut draws: Vec<f64> =
            (0..10_000).map(|node| Draw::new(7).with(node).lognormal(5.0, 0.62)).collect();
        draws.sort_by(f64::total_cmp);
        assert!((4.7..5.3).contains(&draws[5000]), "median {}", draws[5000]);
        assert!((35.0..80.0).contains(&draws[9999]), "maximum {}", draws[9999]);
    }

    #[test]
    fn uuids_and_texts_have_their_shape() {
        assert_eq!(Draw::new(3).uuid().len(), 36);
        let text = Draw::new(3).printable_part(0, 1000);
        assert_eq!((text.len(), text[67], text[16]), (1000, b'\n', b' '));
        assert_eq!(Draw::new(3).hex(17).len(), 17);
    }
}
