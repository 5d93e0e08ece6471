//! Any canonical value comes back unchanged, and equal bytes mean equal text.

use std::borrow::Cow;
use std::collections::HashMap;

use proptest::prelude::*;

use super::super::phrases::PHRASES;
use super::super::shapes::SHAPES;
use super::*;
use crate::json::Json;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9_./-]{0,40}",
        2 => "\\PC{0,20}",
        1 => any::<String>(),
        1 => "[\"\\\\\u{0}-\u{1f}a]{0,9}",
        2 => (0..PHRASES.len()).prop_map(|number| PHRASES[number].trim_matches('"').to_owned()),
        1 => (0..PHRASES.len(), "[a-z\"_ .]{1,3}").prop_map(|(number, end)| PHRASES[number].trim_matches('"').to_owned() + &end),
        1 => "(verified_|synced_|computed_|)20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,7})?Z)?",
        1 => "[0-9]{1,8}",
        1 => "(tok_|dl_ration_)[0-9a-zA-Z_]{0,9}",
        1 => "[a-z]{100,300}",
        1 => "[a-z ]{100,300}",
    ]
}

fn number() -> impl Strategy<Value = Json<'static>> {
    prop_oneof![
        (-100_i64..70_000).prop_map(Json::Integer),
        (-(1_i64 << 53)..=1 << 53).prop_map(Json::Integer),
        (1_i64..100).prop_map(|hundredths| Json::Number(hundredths as f64 / 100.0)),
        (-100_000_i64..100_000).prop_map(|tenths| Json::Number(tenths as f64 / 10.0)),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Json::Number),
    ]
}

fn json() -> impl Strategy<Value = Json<'static>> {
    let string = text().prop_map(|text| Json::String(Cow::Owned(text)));
    let leaf = prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::Bool), number(), string];
    leaf.prop_recursive(5, 60, 14, |inner| {
        let shaped = (0..SHAPES.len(), prop::collection::vec(inner.clone(), 12), 0..12_usize, any::<bool>());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..14).prop_map(Json::Array),
            prop::collection::hash_map(text(), inner, 0..10).prop_map(object),
            shaped.prop_map(|(shape, values, members, more)| {
                let names = SHAPES[shape].pieces.iter().map(|piece| piece[2..piece.len() - 2].to_owned());
                let names = names.take(members.max(1)).chain(more.then(|| "zzz".to_owned()));
                object(names.zip(values).collect())
            }),
        ]
    })
}

fn object(members: HashMap<String, Json<'static>>) -> Json<'static> {
    Json::Object(members.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect())
}

fn canonical(value: &Json<'_>) -> String {
    let mut text = String::new();
    value.write_canonical(&mut text);
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_canonical_value_comes_back_unchanged(value in json()) {
        checked(&canonical(&value));
    }

    #[test]
    fn every_text_comes_back_unchanged(text in text(), any in any::<String>()) {
        checked_text(&text);
        checked_text(&any);
        checked(&any);
    }

    #[test]
    fn equal_bytes_mean_equal_text(values in prop::collection::vec(json(), 2..8)) {
        let coded: Vec<(String, Vec<u8>)> =
            values.iter().map(canonical).map(|text| { let bytes = checked(&text); (text, bytes) }).collect();
        for (text, bytes) in &coded {
            for (other, others) in &coded {
                prop_assert_eq!(text == other, bytes == others);
            }
        }
    }

    #[test]
    fn values_follow_each_other(values in prop::collection::vec(json(), 1..6)) {
        let texts: Vec<String> = values.iter().map(canonical).collect();
        let mut bytes = Vec::new();
        texts.iter().for_each(|text| encode(&mut bytes, text));
        let mut input = bytes.as_slice();
        for text in &texts {
            let mut decoded = String::new();
            prop_assert_eq!(decode(&mut input, &mut decoded), Ok(()));
            prop_assert_eq!(&decoded, text);
        }
        prop_assert!(input.is_empty());
    }
}

#[test]
fn deep_and_long_values_come_back_unchanged() {
    for depth in [1, 64, 120, 127, 128, 129, 1_000, 100_000] {
        checked(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        checked(&format!("{}1{}", "{\"action\":".repeat(depth), "}".repeat(depth)));
        checked(&format!("{}1{}", "{\"application_status\":[[".repeat(depth), "]]}".repeat(depth)));
    }
    checked(&format!("\"{}\"", "é".repeat(1 << 20)));
    checked(&format!("[{}1]", "1e+21,".repeat(1 << 16)));
    checked(&format!("[{}\"\"]", format!("\"{}\",", "A".repeat(300)).repeat(1 << 12)));
    checked(&"9".repeat(1 << 16));
}
