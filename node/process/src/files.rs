//! Files in data: the texts at places that a shape declares to be the CID of a file.

use crate::{
    data::{Data, Fields},
    shape::{Record, Shape},
};

/// Calls `visit` for each text that names a file, in the order of the fields.
pub fn visit(record: &Record, fields: &mut Fields, visit: &mut impl FnMut(&mut String)) {
    for (name, shape) in record.iter() {
        if let Some(value) = fields.get_mut(name) {
            within(shape, value, visit);
        }
    }
}

fn within(shape: &Shape, value: &mut Data, visit: &mut impl FnMut(&mut String)) {
    match value {
        Data::Text(text) if shape.is_file() => visit(text),
        Data::List(list) => {
            if let Some(element) = shape.element() {
                list.iter_mut()
                    .for_each(|value| within(&element, value, visit));
            }
        }
        Data::Map(fields) => {
            for (name, value) in fields {
                if let Ok(inner) = shape.within(std::slice::from_ref(name)) {
                    within(&inner, value, visit);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn files_are_found_in_lists_and_objects_and_nothing_else_is() {
        let shape: Data = serde_json::from_str(
            r#"{"type":"array","items":{"type":"object","required":["file","name"],
                "properties":{"file":{"type":"string","format":"cid"},"name":{"type":"string"}}}}"#,
        )
        .unwrap();
        let record = Record::new(BTreeMap::from([(
            "all".to_owned(),
            Shape::new(shape).unwrap(),
        )]));
        let data = r#"{"all":[{"file":"@a","name":"@b"},{"file":"@c","name":"d"}]}"#;
        let Ok(Data::Map(mut fields)) = serde_json::from_str(data) else {
            panic!("no map")
        };
        let mut found = Vec::new();
        visit(&record, &mut fields, &mut |text| {
            found.push(std::mem::replace(text, "x".into()))
        });
        assert_eq!(found, ["@a", "@c"]);
        assert_eq!(
            Data::Map(fields).to_json().to_string(),
            r#"{"all":[{"file":"x","name":"@b"},{"file":"x","name":"d"}]}"#
        );
    }
}
