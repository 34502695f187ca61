//! Whatever a schema allows survives each codec; whatever arrives, no codec panics.

use cumulog_model::dynamodb::PutItemInput;
use cumulog_shape::{
    Bytes, Document, Location, Schema, Slot, Struct, Timestamp, Value, cbor, check, json,
};
use proptest::prelude::*;

/// Every schema that the generated operations start from.
fn schemas() -> impl Iterator<Item = &'static Schema> {
    let operations = cumulog_model::SERVICES
        .iter()
        .flat_map(|service| service.operations);
    operations
        .filter_map(|route| route.schema)
        .flat_map(|operation| [operation.input, operation.output])
}

/// A stream of choices out of a seed (SplitMix64): a failure is its seed.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize].clone()
    }

    fn text(&mut self) -> String {
        let letters = [
            'a', 'Z', '0', '"', '\\', '/', '\n', '\u{0}', '\u{1f}', '\u{7f}', 'é', '\u{2028}',
            '日', '😀',
        ];
        (0..self.below(12)).map(|_| self.pick(&letters)).collect()
    }

    fn fill(&mut self, value: &mut dyn Struct, depth: u32) {
        let members = value.schema().members;
        if value.schema().union {
            let i = self.below(members.len() as u64) as usize;
            return self.fill_slot(value.slot(i), depth);
        }
        for (i, member) in members.iter().enumerate() {
            if member.required || depth < 6 && self.below(3) == 0 {
                self.fill_slot(value.slot(i), depth);
            }
        }
    }

    fn fill_slot(&mut self, slot: Slot<'_>, depth: u32) {
        let count = if depth < 6 { self.below(3) } else { 0 };
        match slot {
            Slot::None | Slot::Stream(_) => {}
            Slot::Str(place) => *place = self.text(),
            Slot::Enum(place) => place.set(&self.text()),
            Slot::Bool(place) => *place = self.below(2) == 0,
            Slot::Int(place) => *place = self.next() as i32 >> self.below(32),
            Slot::Long(place) => *place = self.next() as i64 >> self.below(64),
            Slot::Float(place) => *place = self.pick(&[0.0, -1.5, 0.1, f32::MAX, f32::INFINITY]),
            Slot::Double(place) => {
                *place = self.pick(&[0.0, -1.5, 0.1, f64::MIN_POSITIVE, f64::NEG_INFINITY])
            }
            Slot::Blob(place) => {
                *place = (0..self.below(9))
                    .map(|_| self.next() as u8)
                    .collect::<Bytes>()
            }
            Slot::Timestamp(place) => *place = Timestamp(self.next() as i64 >> 20),
            Slot::Document(place) => *place = Document::from(self.text()),
            Slot::List(list) => (0..count).for_each(|_| self.fill_slot(list.push(), depth + 1)),
            Slot::Map(map) => {
                for i in 0..count {
                    let key = format!("{i}{}", self.text());
                    self.fill_slot(map.push(key), depth + 1);
                }
            }
            Slot::Struct(value) => self.fill(value, depth + 1),
        }
    }
}

fn written(value: &Value, write: fn(&dyn Struct, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// Streams and what travels in headers are not the codecs' business, so only schemas without take part.
fn random_values(seed: u64) -> Vec<Value> {
    let mut choices = Choices(seed);
    let plain = |schema: &&Schema| {
        schema
            .members
            .iter()
            .all(|member| member.location == Location::Body)
    };
    let fill = |schema| {
        let mut value = Value::new(schema);
        choices.fill(&mut value, 0);
        value
    };
    schemas().filter(plain).map(fill).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn json_reads_what_it_writes(seed: u64) {
        for value in random_values(seed) {
            let body = written(&value, json::write);
            let mut read = Value::new(value.schema());
            let missing = json::read(&body, &mut read).expect("own JSON is read");
            prop_assert!(missing.is_empty(), "{missing:?}");
            prop_assert_eq!(&read, &value);
            let _: Document = serde_json::from_slice(&body).expect("own JSON is JSON");
            check::check(&read, &missing, &check::Dialect::COMMON);
        }
    }

    #[test]
    fn cbor_reads_what_it_writes(seed: u64) {
        for value in random_values(seed) {
            let body = written(&value, cbor::write);
            let mut read = Value::new(value.schema());
            let missing = cbor::read(&body, &mut read).expect("own CBOR is read");
            prop_assert!(missing.is_empty(), "{missing:?}");
            prop_assert_eq!(&read, &value);
        }
    }

    #[test]
    fn no_codec_panics_on_a_damaged_body(seed: u64) {
        let mut choices = Choices(seed);
        for value in random_values(seed) {
            for (write, read) in [
                (json::write as fn(&dyn Struct, &mut Vec<u8>), json::read as fn(&[u8], &mut dyn Struct) -> _),
                (cbor::write, cbor::read),
            ] {
                let mut body = written(&value, write);
                for _ in 0..=choices.below(3) {
                    let at = choices.below(body.len() as u64) as usize;
                    body[at] = choices.next() as u8;
                }
                let mut into = Value::new(value.schema());
                if let Ok(missing) = read(&body, &mut into) {
                    check::check(&into, &missing, &check::Dialect::COMMON);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// `serde_json` is the oracle of what JSON is. It refuses numbers that no `f64` holds; we read them as the nearest.
    #[test]
    fn the_lexer_accepts_what_serde_json_accepts(seed: u64, body in r#"(\{|\}|\[|\]|,|:|"|\\|u|d8|00|1|-|0|\.|e|true|null|false| |"a":|é|\x01|"[a-z]{0,9}"){0,12}"#) {
        let mut choices = Choices(seed);
        let body = format!(r#"{{"x":{body}{}}}"#, choices.pick(&["", "]", "}", "\""]));
        let oracle = serde_json::from_str::<Document>(&body);
        if !oracle.as_ref().is_err_and(|error| error.to_string().contains("number out of range")) {
            let schema = cumulog_model::dynamodb::SERVICE.operation("ListTables").and_then(|route| route.schema);
            let mut into = Value::new(schema.expect("is implemented").input);
            prop_assert_eq!(json::read(body.as_bytes(), &mut into).is_ok(), oracle.is_ok(), "{}", body);
        }
    }
}

/// Debug builds have the largest frames, and worker threads the smallest stacks.
#[test]
fn the_deepest_nesting_fits_a_small_stack() {
    let (open, close) = (r#"{"L":["#.repeat(126), "]}".repeat(126));
    let body = format!(r#"{{"TableName":"t","Item":{{"a":{open}{{"NULL":true}}{close}}}}}"#);
    let read = move || {
        let (mut from_json, mut from_cbor) = (PutItemInput::default(), PutItemInput::default());
        let missing = json::read(body.as_bytes(), &mut from_json).expect("is just flat enough");
        check::check(&from_json, &missing, &check::Dialect::COMMON);
        let mut back = Vec::new();
        cbor::write(&from_json, &mut back);
        cbor::read(&back, &mut from_cbor).expect("is read");
        assert!(from_json == from_cbor);
    };
    let thread = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(read)
        .expect("a thread");
    thread.join().expect("the stack holds");
}
