/* Counts lines, words and bytes of its input, like wc: the same program as src/bin/wc.rs, in C. */
#include <ctype.h>
#include <stdio.h>

int main(void) {
    unsigned long long lines = 0, words = 0, bytes = 0;
    int in_word = 0, c;
    while ((c = getchar()) != EOF) {
        int space = isspace(c) != 0;
        bytes++;
        lines += c == '\n';
        words += !space && !in_word;
        in_word = !space;
    }
    if (ferror(stdin)) {
        perror("wc");
        return 1;
    }
    printf("%7llu %7llu %7llu\n", lines, words, bytes);
    return 0;
}
