# Adds up what `cargo test` and `forge test` say in their logs: awk -v broken=0|1 -v unsteady=N -f tally.awk LOG...
# With broken=1 a step has failed; if it was no test that failed, it counts as one.
# unsteady: tests that failed and passed when they were run once more; each counts once, as passed.

function add(word, count) {
    if (word ~ /^passed/) passed += count
    else if (word ~ /^failed/) failed += count
    else if (word ~ /^(ignored|skipped)/) ignored += count
}

/^test result: / || /^Ran [0-9]+ test suites? in / {
    for (i = 2; i <= NF; i++)
        add($i, $i ~ /^passed/ && $(i - 1) == "tests" ? $(i - 2) : $(i - 1))
}

END {
    failed -= unsteady
    if (broken && !failed) failed = 1
    printf "%d passed, %d failed, %d ignored\n", passed, failed, ignored
}
