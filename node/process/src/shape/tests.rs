use super::*;

fn data(json: &str) -> Data {
    serde_json::from_str(json).unwrap()
}

fn shape(json: &str) -> Shape {
    Shape::new(data(json)).unwrap()
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

#[test]
fn fields_are_found_before_there_are_data() {
    let car = shape(
        r##"{"type":"object","required":["id","at"],"$defs":{"place":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}}},
            "properties":{"id":{"type":"string"},"at":{"$ref":"#/$defs/place"},"owner":{"type":"string"}}}"##,
    );
    assert_eq!(
        car.within(&path("at.x")).unwrap().kinds(),
        BTreeSet::from(["integer"])
    );
    let told = |text: &str| car.within(&path(text)).unwrap_err();
    assert!(
        told("at.y").contains("no field y; the shape has x"),
        "{}",
        told("at.y")
    );
    assert!(told("owner").contains("may be missing"));
    assert!(told("id.x").contains("under properties"));
}

#[test]
fn what_is_no_shape_is_named_by_its_place() {
    let wrong = |json: &str| Shape::new(data(json)).unwrap_err();
    assert_eq!(
        wrong(r#"{"properties":{"a":{"type":"strin"}}}"#).path,
        ["properties", "a", "type"]
    );
    assert_eq!(
        wrong(r#"{"items":{"$ref":"http://x.example/y"}}"#).path,
        ["items", "$ref"]
    );
    assert!(wrong(r#""string""#).what.contains("{type: string}"));
    assert!(wrong(r#"{"pattern":"a"}"#)
        .what
        .contains("no keyword pattern"));
}

#[test]
fn data_fit_or_the_first_misfit_is_named() {
    let record = Record::new(BTreeMap::from([
        ("kwh".to_owned(), shape(r#"{"type":"integer","minimum":1}"#)),
        (
            "who".to_owned(),
            shape(r#"{"type":"string","maxLength":3}"#),
        ),
    ]));
    let checker = record.checker().unwrap();
    let told = |json: &str| match data(json) {
        Data::Map(fields) => checker.check(&fields).map_err(|misfit| misfit.to_string()),
        _ => unreachable!(),
    };
    assert_eq!(told(r#"{"kwh":1,"who":"bob"}"#), Ok(()));
    assert_eq!(told(r#"{"kwh":1}"#).unwrap_err(), "who: is missing");
    assert!(told(r#"{"kwh":0,"who":"bob"}"#)
        .unwrap_err()
        .starts_with("kwh: 0 is below 1"));
    assert!(told(r#"{"kwh":1,"who":"bob","x":1}"#)
        .unwrap_err()
        .contains("not declared"));
}

/// Each keyword, with data that fit and data that do not.
#[test]
fn each_keyword_says_what_it_says_in_json_schema() {
    for (schema, right, wrong) in [
        (r#"{"type":"integer"}"#, "1", "\"1\""),
        (r#"{"type":["integer","null"]}"#, "null", "true"),
        (r#"{"type":"boolean"}"#, "false", "0"),
        (r#"{"enum":[1,"a"]}"#, "\"a\"", "2"),
        (r#"{"const":{"a":1}}"#, r#"{"a":1}"#, r#"{"a":2}"#),
        (r#"{"minimum":-1,"maximum":1}"#, "1", "2"),
        (r#"{"minimum":-1}"#, "\"text\"", "-2"),
        (r#"{"minLength":2,"maxLength":2}"#, "\"äö\"", "\"abc\""),
        (
            r#"{"items":{"type":"integer"},"minItems":1,"maxItems":2}"#,
            "[1]",
            "[]",
        ),
        (r#"{"items":{"type":"integer"}}"#, "[]", "[1,null]"),
        (r#"{"uniqueItems":true}"#, "[1,2]", "[1,1]"),
        (
            r#"{"properties":{"a":{"type":"integer"}},"required":["a"]}"#,
            r#"{"a":1,"b":null}"#,
            "{}",
        ),
        (
            r#"{"properties":{"a":{"type":"integer"}}}"#,
            "{}",
            r#"{"a":"1"}"#,
        ),
        (
            r#"{"properties":{"a":{}},"additionalProperties":false}"#,
            r#"{"a":1}"#,
            r#"{"b":1}"#,
        ),
        (
            r#"{"additionalProperties":{"type":"integer"}}"#,
            r#"{"b":1}"#,
            r#"{"b":"1"}"#,
        ),
        (r#"{"maxProperties":1}"#, r#"{"b":1}"#, r#"{"a":1,"b":1}"#),
        (
            r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}}"##,
            "1",
            "null",
        ),
        (
            r##"{"type":"array","items":{"$ref":"#"}}"##,
            "[[],[[]]]",
            "[1]",
        ),
    ] {
        let shape = shape(schema);
        assert_eq!(
            keywords::misfit(&shape.0, &data(right)),
            None,
            "{schema} {right}"
        );
        assert!(
            keywords::misfit(&shape.0, &data(wrong)).is_some(),
            "{schema} {wrong}"
        );
    }
}

#[test]
fn a_shape_that_refers_to_itself_for_ever_ends() {
    let looped = Shape::new(data(
        r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}"##,
    ));
    assert!(looped.is_err() || keywords::misfit(&looped.unwrap().0, &data("1")).is_some());
    let missing = Shape::new(data(r##"{"$ref":"#/$defs/b"}"##)).unwrap_err();
    assert_eq!(missing.path, ["$ref"]);
}
