//! Inputs as forms: what a client of the query protocol does, so that what was read can be read again.

use cumulog_shape::{Kind, Member, Shape, Struct, View};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Writes `input` as the body of a request.
pub(super) fn write(input: &dyn Struct) -> String {
    let mut form = Form(String::new());
    form.members(input, "");
    form.0
}

struct Form(String);

impl Form {
    fn pair(&mut self, name: &str, value: &str) {
        let encoded = utf8_percent_encode(value, NON_ALPHANUMERIC);
        self.0.push_str(&format!("&{name}={encoded}"));
    }

    fn members(&mut self, input: &dyn Struct, prefix: &str) {
        let members = input.schema().members;
        for (index, member) in members.iter().enumerate() {
            self.member(
                input.get(index),
                member,
                &format!("{prefix}{}", member.query),
            );
        }
    }

    fn member(&mut self, view: View<'_>, member: &Member, name: &str) {
        self.value(view, member.shape, member.query_flattened, name);
    }

    fn value(&mut self, view: View<'_>, shape: &Shape, flattened: bool, name: &str) {
        let numbered = |step: &str, index: usize| match flattened {
            true => format!("{name}.{}", index + 1),
            false => format!("{name}.{step}.{}", index + 1),
        };
        match (view, &shape.kind) {
            (View::None, _) => {}
            (View::List(list), Kind::List(_)) if list.is_empty() => self.pair(name, ""),
            (View::List(list), Kind::List(element)) => (0..list.len()).for_each(|index| {
                let name = numbered(element.query, index);
                self.value(list.get(index), element.shape, false, &name);
            }),
            (View::Map(map), Kind::Map { .. }) if map.is_empty() => self.pair(name, ""),
            (View::Map(map), Kind::Map { key, value }) => (0..map.len()).for_each(|index| {
                let entry = numbered("entry", index);
                let (text, view) = map.entry(index);
                self.pair(&format!("{entry}.{}", key.query), text);
                let name = format!("{entry}.{}", value.query);
                self.value(view, value.shape, false, &name);
            }),
            (View::Struct(value), _) => {
                // Says that it is there, even if it has no member.
                self.pair(&format!("{name}._"), "");
                self.members(value, &format!("{name}."));
            }
            (view, _) => self.pair(name, &scalar(view)),
        }
    }
}

fn scalar(view: View<'_>) -> String {
    match view {
        View::Str(text) => text.to_owned(),
        View::Bool(value) => value.to_string(),
        View::Int(value) => value.to_string(),
        View::Blob(bytes) => base64_simd::STANDARD.encode_to_string(bytes),
        other => unreachable!("no request of SQS or STS has {other:?}"),
    }
}
