//! DynamoDB's number: decimal, 38 significant digits, magnitude 1E-130 to 9.99…E+125.
//!
//! A number travels as text and is kept as text, in the one spelling that DynamoDB answers with: no exponent, no leading
//! or trailing zero that says nothing. Two numbers are therefore equal exactly if their normalised texts are, and only
//! order and arithmetic have to look inside.
//!
//! # Key encoding
//!
//! Numbers in keys become bytes that compare like the numbers. One byte holds sign and exponent to base 100, one byte
//! each two digits; the bytes of negative numbers are complemented and ended by a byte above all of them:
//!
//! ```text
//! 0          80
//! positive   80 + (exponent + 64), then each pair of digits plus 1
//! negative   7F - (exponent + 64), then 101 minus each pair of digits, then 66 unless all 20 pairs are there
//! ```
//!
//! The exponent is the one of `0.d₁d₂… × 100^exponent`, from -64 to 63. The smallest positive numbers share their first
//! byte with zero, which has no digits after it and so comes before them. The length of this encoding is also what AWS
//! counts as the size of a number.

use std::cmp::Ordering;
use std::fmt;

use super::error::ValidationError;

/// Significant digits that a number may have.
const DIGITS_MAX: u32 = 38;
/// Power of ten of the leading digit.
const MAGNITUDE_MAX: i64 = 125;
const MAGNITUDE_MIN: i64 = -130;

/// `coefficient × 10^exponent`, the coefficient without trailing zeros; zero is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    negative: bool,
    coefficient: u128,
    exponent: i16,
}

/// Why a text is no DynamoDB number, with AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("The parameter cannot be converted to a numeric value")]
    NotNumeric,
    #[error(
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    )]
    Overflow,
    #[error(
        "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    )]
    Underflow,
    #[error("Attempting to store more than 38 significant digits in a Number")]
    Precision,
}

impl Number {
    const ZERO: Number = Number {
        negative: false,
        coefficient: 0,
        exponent: 0,
    };

    /// Reads `[+-]digits[.digits][e[+-]digits]`, either side of the point optional.
    pub(crate) fn parse(text: &str) -> Result<Number, NumberError> {
        let Literal {
            negative,
            whole,
            fraction,
            exponent,
        } = Literal::split(text.as_bytes()).ok_or(NumberError::NotNumeric)?;
        let digits = || whole.iter().chain(fraction).map(|digit| digit - b'0');
        let Some(leading) = digits().position(|digit| digit != 0) else {
            return Ok(Number::ZERO);
        };
        let trailing = digits().rev().take_while(|digit| *digit == 0).count();
        let significant = whole.len() + fraction.len() - leading - trailing;
        let magnitude = exponent.saturating_add(whole.len() as i64 - 1 - leading as i64);
        if magnitude > MAGNITUDE_MAX {
            return Err(NumberError::Overflow);
        }
        if magnitude < MAGNITUDE_MIN {
            return Err(NumberError::Underflow);
        }
        if significant > DIGITS_MAX as usize {
            return Err(NumberError::Precision);
        }
        let coefficient = digits()
            .skip(leading)
            .take(significant)
            .fold(0, |sum, digit| sum * 10 + u128::from(digit));
        let exponent = (magnitude - (significant as i64 - 1)) as i16;
        Ok(Number {
            negative,
            coefficient,
            exponent,
        })
    }

    /// The number in a text that this module has normalised before.
    ///
    /// # Panics
    ///
    /// If it has not: stored items and checked input hold normalised numbers only.
    pub(crate) fn of(normalised: &str) -> Number {
        Number::parse(normalised).expect("numbers are normalised before they are used")
    }

    /// The exact sum. AWS calls a sum of more than 38 digits an overflow, whatever its magnitude.
    pub(crate) fn add(self, other: Number) -> Result<Number, NumberError> {
        if self.coefficient == 0 {
            return Ok(other);
        }
        if other.coefficient == 0 {
            return Ok(self);
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let shift = u32::try_from(high.exponent - low.exponent).expect("ordered by exponent");
        let scaled = 10_u128
            .checked_pow(shift)
            .and_then(|power| high.coefficient.checked_mul(power))
            .ok_or(NumberError::Overflow)?;
        let (negative, coefficient) = if high.negative == low.negative {
            (
                high.negative,
                scaled
                    .checked_add(low.coefficient)
                    .ok_or(NumberError::Overflow)?,
            )
        } else if scaled >= low.coefficient {
            (high.negative, scaled - low.coefficient)
        } else {
            (low.negative, low.coefficient - scaled)
        };
        Number::normalised(negative, coefficient, low.exponent)
    }

    pub(crate) fn subtract(self, other: Number) -> Result<Number, NumberError> {
        let negative = !other.negative && other.coefficient != 0;
        self.add(Number { negative, ..other })
    }

    fn normalised(
        negative: bool,
        mut coefficient: u128,
        mut exponent: i16,
    ) -> Result<Number, NumberError> {
        if coefficient == 0 {
            return Ok(Number::ZERO);
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        let number = Number {
            negative,
            coefficient,
            exponent,
        };
        if number.digits() > DIGITS_MAX || number.magnitude() > MAGNITUDE_MAX {
            return Err(NumberError::Overflow);
        }
        if number.magnitude() < MAGNITUDE_MIN {
            return Err(NumberError::Underflow);
        }
        Ok(number)
    }

    /// Appends the bytes that compare like the number; see the module.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        if self.coefficient == 0 {
            out.push(0x80);
            return;
        }
        let point = self.magnitude() + 1;
        let odd = point.rem_euclid(2) == 1;
        let head = (0x80 + (point + i64::from(odd)) / 2 + 64) as u8;
        out.push(if self.negative { !head } else { head });
        let digits = self.digits() + u32::from(odd);
        let pairs = digits.div_ceil(2);
        let start = out.len();
        let mut push = |pair: u8| out.push(if self.negative { 101 - pair } else { pair + 1 });
        let mut rest = self.coefficient;
        if !digits.is_multiple_of(2) {
            push((rest % 10) as u8 * 10);
            rest /= 10;
        }
        for _ in 0..digits / 2 {
            push((rest % 100) as u8);
            rest /= 100;
        }
        out[start..].reverse();
        if self.negative && pairs < 20 {
            out.push(0x66);
        }
    }

    /// Bytes that AWS counts for a number: the length of its encoding.
    pub(crate) fn size(self) -> usize {
        if self.coefficient == 0 {
            return 1;
        }
        let odd = u32::from((self.magnitude() + 1).rem_euclid(2) == 1);
        let pairs = (self.digits() + odd).div_ceil(2);
        1 + pairs as usize + usize::from(self.negative && pairs < 20)
    }

    fn digits(self) -> u32 {
        self.coefficient.checked_ilog10().map_or(1, |log| log + 1)
    }

    /// Power of ten of the leading digit.
    fn magnitude(self) -> i64 {
        i64::from(self.exponent) + i64::from(self.digits()) - 1
    }

    fn compare_magnitude(self, other: Number) -> Ordering {
        if self.coefficient == 0 || other.coefficient == 0 {
            return self.coefficient.cmp(&other.coefficient);
        }
        // With the leading digits at the same power, the exponents differ by less than 38 places.
        self.magnitude().cmp(&other.magnitude()).then_with(|| {
            let low = self.exponent.min(other.exponent);
            let scaled =
                |number: Number| number.coefficient * 10_u128.pow((number.exponent - low) as u32);
            scaled(self).cmp(&scaled(other))
        })
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_magnitude(*other),
            (true, true) => other.compare_magnitude(*self),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The plain spelling that DynamoDB answers with: `-0.00012`, `1200`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let digits = self.coefficient.to_string();
        let point = digits.len() as i64 + i64::from(self.exponent);
        if self.exponent >= 0 {
            let zeros = if self.coefficient == 0 {
                0
            } else {
                self.exponent as usize
            };
            write!(f, "{digits}{:0<zeros$}", "")
        } else if point > 0 {
            let (whole, fraction) = digits.split_at(point as usize);
            write!(f, "{whole}.{fraction}")
        } else {
            write!(f, "0.{:0<zeros$}{digits}", "", zeros = -point as usize)
        }
    }
}

/// Checks a number that a client sent and rewrites it to DynamoDB's spelling.
pub(crate) fn normalise(text: &mut String) -> Result<(), ValidationError> {
    if is_plain_integer(text.as_bytes()) {
        return Ok(());
    }
    match Number::parse(text) {
        Ok(number) => *text = number.to_string(),
        Err(error @ NumberError::NotNumeric) if !text.is_empty() => {
            return Err(ValidationError::new(format!("{error}: {text}")));
        }
        Err(error) => return Err(ValidationError::new(error.to_string())),
    }
    Ok(())
}

/// The usual case, already as DynamoDB spells it: then nothing needs to be parsed.
fn is_plain_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    matches!(digits, [b'1'..=b'9', rest @ ..] if rest.len() < DIGITS_MAX as usize && rest.iter().all(u8::is_ascii_digit))
        || text == b"0"
}

/// The parts of a number's text; all digits are ASCII digits.
struct Literal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Literal<'a> {
    fn split(text: &'a [u8]) -> Option<Literal<'a>> {
        let (negative, text) = sign(text);
        let (whole, text) = leading_digits(text);
        let (fraction, text) = match text.strip_prefix(b".") {
            Some(rest) => leading_digits(rest),
            None => (&text[..0], text),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match text {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        Some(Literal {
            negative,
            whole,
            fraction,
            exponent,
        })
    }
}

/// An exponent that does not fit is as good as the largest that does: the magnitude is out of range either way.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = sign(text);
    let (digits, rest) = leading_digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'))
        })
        .min(i64::MAX / 2);
    Some(if negative { -magnitude } else { magnitude })
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> Result<String, String> {
        let mut text = text.to_owned();
        normalise(&mut text)
            .map(|()| text)
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(input: &str, expected: &str) {
        assert_eq!(normal(input), Ok(expected.to_owned()), "{input}");
    }

    #[track_caller]
    fn refuse(input: &str, expected: &str) {
        assert_eq!(normal(input), Err(expected.to_owned()), "{input}");
    }

    #[test]
    fn numbers_are_spelt_as_dynamodb_spells_them() {
        check("0", "0");
        check("-0", "0");
        check("-0.000e99999", "0");
        check("007", "7");
        check("+3", "3");
        check("1e3", "1000");
        check("1.50", "1.5");
        check(".5", "0.5");
        check("5.", "5");
        check("-17.4E2", "-1740");
        check("1E-3", "0.001");
        check("1e125", &format!("1{}", "0".repeat(125)));
        check("-1e-130", &format!("-0.{}1", "0".repeat(129)));
        check("0.1e126", &format!("1{}", "0".repeat(125)));
        check(&"9".repeat(38), &"9".repeat(38));
        check(
            &format!("{}00", "9".repeat(38)),
            &format!("{}00", "9".repeat(38)),
        );
    }

    #[test]
    fn what_is_no_number_is_refused_in_awss_words() {
        refuse("", "The parameter cannot be converted to a numeric value");
        for text in [
            "NaN", "dog", " 1", "1 ", "1e", "--1", ".", "1.2.3", "0x10", "١",
        ] {
            refuse(
                text,
                &format!("The parameter cannot be converted to a numeric value: {text}"),
            );
        }
        let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
        refuse("1e126", overflow);
        refuse("-11e125", overflow);
        refuse("1.0e100000000000000000000", overflow);
        let underflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range";
        refuse("1e-131", underflow);
        refuse("0.9e-130", underflow);
        let precision = "Attempting to store more than 38 significant digits in a Number";
        refuse(&"1".repeat(39), precision);
        refuse("3.14159265358979323846264338327950288419", precision);
    }

    #[track_caller]
    fn check_sum(left: &str, right: &str, expected: Result<&str, NumberError>) {
        let (left, right) = (Number::parse(left).unwrap(), Number::parse(right).unwrap());
        assert_eq!(
            left.add(right).map(|sum| sum.to_string()),
            expected.map(str::to_owned)
        );
        assert_eq!(right.add(left), left.add(right));
    }

    #[test]
    fn sums_are_exact_or_refused() {
        check_sum(
            "1",
            "10000000000000000000000",
            Ok("10000000000000000000001"),
        );
        check_sum("0.1", "0.2", Ok("0.3"));
        check_sum("1", "-1", Ok("0"));
        check_sum("5", "-7.5", Ok("-2.5"));
        check_sum("1e38", "-1", Ok(&"9".repeat(38)));
        check_sum(&"9".repeat(38), "1", Ok(&format!("1{}", "0".repeat(38))));
        check_sum("1e50", "1", Err(NumberError::Overflow));
        check_sum("1e125", "1e-130", Err(NumberError::Overflow));
        check_sum("9e125", "9e125", Err(NumberError::Overflow));
        check_sum("9e125", "9e124", Ok(&format!("99{}", "0".repeat(124))));
    }

    #[test]
    fn sizes_are_those_that_aws_counts() {
        for (text, bytes) in [
            ("0", 1),
            ("1", 2),
            ("12", 2),
            ("123", 3),
            ("-1", 3),
            ("100", 2),
            ("10", 2),
            ("0.1", 2),
            ("1000", 2),
        ] {
            assert_eq!(Number::of(text).size(), bytes, "{text}");
        }
        assert_eq!(Number::of(&"9".repeat(38)).size(), 20);
    }

    /// 38 digits that end in the middle of a pair: ten times as much would not fit 128 bits.
    #[test]
    fn the_longest_numbers_have_keys() {
        for digits in ["34030000000000000000000000000000000001", &"9".repeat(38)] {
            let (head, tail) = digits.split_at(20);
            let numbers = [
                format!("-{digits}"),
                format!("{head}.{tail}"),
                digits.to_owned(),
                format!("{digits}0"),
            ];
            let keys = numbers.map(|number| encoded(Number::of(&number)));
            assert!(keys.is_sorted(), "{digits}: {keys:?}");
        }
    }

    prop_compose! {
        fn number()(negative in any::<bool>(), digits in "[1-9][0-9]{0,37}", exponent in -130_i64..=125) -> Number {
            let sign = if negative { "-" } else { "" };
            let (head, tail) = digits.split_at(1);
            Number::parse(&format!("{sign}{head}.{tail}e{exponent}")).expect("within range")
        }
    }

    fn encoded(number: Number) -> Vec<u8> {
        let mut out = Vec::new();
        number.encode(&mut out);
        out
    }

    proptest! {
        #[test]
        fn print_and_parse_round_trip(number in number()) {
            prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn keys_sort_like_numbers(a in number(), b in number()) {
            prop_assert_eq!(encoded(a).cmp(&encoded(b)), a.cmp(&b));
        }

        #[test]
        fn close_keys_sort_like_numbers(a in number(), delta in -3_i64..=3) {
            if let Ok(b) = a.add(Number::of(&delta.to_string())) {
                prop_assert_eq!(encoded(a).cmp(&encoded(b)), a.cmp(&b));
                prop_assert_eq!(a.cmp(&b), 0.cmp(&delta));
            }
        }

        #[test]
        fn keys_sort_around_zero(a in number()) {
            prop_assert_eq!(encoded(a).cmp(&encoded(Number::ZERO)), a.cmp(&Number::ZERO));
        }

        #[test]
        fn the_size_is_the_length_of_the_encoding(a in number()) {
            prop_assert_eq!(encoded(a).len(), a.size());
        }

        #[test]
        fn any_text_is_a_number_or_refused(text in "[+-]?[0-9.eE+-]{0,12}") {
            if let Ok(number) = Number::parse(&text) {
                prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
            }
        }
    }
}
