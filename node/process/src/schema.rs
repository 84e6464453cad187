//! The JSON Schemas of `service.yml` and `process.yml`, for editors. What they allow, this crate reads; it finds more that is
//! wrong than a schema can say.

/// The schema of `service.yml`.
pub const SERVICE_SCHEMA: &str = include_str!("../schema/service.schema.json");
/// The schema of `process.yml`.
pub const PROCESS_SCHEMA: &str = include_str!("../schema/process.schema.json");

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn keys(schema: &Value, pointer: &str) -> Vec<String> {
        let found = schema.pointer(pointer).and_then(Value::as_object);
        let mut keys: Vec<_> = found
            .unwrap_or_else(|| panic!("no {pointer}"))
            .keys()
            .cloned()
            .collect();
        keys.sort();
        keys
    }

    /// What the reader says that a map may have is what the schema allows there.
    #[test]
    fn the_schemas_have_the_keys_that_are_read() {
        let service: Value = serde_json::from_str(SERVICE_SCHEMA).unwrap();
        let process: Value = serde_json::from_str(PROCESS_SCHEMA).unwrap();
        let told = |error: String| {
            let (_, known) = error.split_once("it may have ").unwrap();
            let line = known.lines().next().unwrap();
            let mut keys: Vec<_> = line.split(", ").map(str::to_owned).collect();
            keys.sort();
            keys
        };
        let service_wrong = |text: &str| {
            crate::service_file::ServiceDraft::read("s", text)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            keys(&service, "/properties"),
            told(service_wrong("service: s\nxx: 1\n"))
        );
        let task = "service: s\ntasks: {t: {program: p, statuses: {d: {}}, xx: 1}}\n";
        assert_eq!(
            keys(&service, "/$defs/task/properties"),
            told(service_wrong(task))
        );
        let event = "service: s\nevents: {e: {xx: 1}}\n";
        assert_eq!(
            keys(
                &service,
                "/properties/events/additionalProperties/properties"
            ),
            told(service_wrong(event))
        );
        for (number, source) in ["contract: x, log: y", "message: x", "results: x"]
            .into_iter()
            .enumerate()
        {
            let from = format!("service: s\nevents: {{e: {{from: {{{source}, xx: 1}}}}}}\n");
            let place = format!(
                "/properties/events/additionalProperties/properties/from/oneOf/{number}/properties"
            );
            let mut told = told(service_wrong(&from));
            // Each of them names the first key of the others, for it tells them apart.
            let own = keys(&service, &place);
            told.retain(|key| {
                own.contains(key) || !["contract", "message", "results"].contains(&key.as_str())
            });
            assert_eq!(own, told);
        }
        let process_wrong = |text: &str| {
            crate::process_file::ProcessDraft::read("p", text)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            keys(&process, "/properties"),
            told(process_wrong("process: p\non: a.b\nnodes: {}\nxx: 1\n"))
        );
        let on = "process: p\non: {xx: 1}\nnodes: {}\n";
        assert_eq!(
            keys(&process, "/properties/on/oneOf/1/properties"),
            told(process_wrong(on))
        );
        let node = told(process_wrong("process: p\non: a.b\nnodes: {n: {xx: 1}}\n"));
        let kinds = (0..4).flat_map(|kind| {
            keys(
                &process,
                &format!("/properties/nodes/additionalProperties/oneOf/{kind}/properties"),
            )
        });
        let kinds: std::collections::BTreeSet<_> = kinds.collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), node);
    }
}
