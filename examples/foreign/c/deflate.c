/* Compresses standard input to gzip's format, or with -d decompresses it: zlib's minigzip on streams alone. */
#include <stdio.h>
#include <string.h>
#include "zlib.h"

enum { CHUNK = 1 << 16, GZIP = 16 + MAX_WBITS };

static int fail(const char *what) {
    fprintf(stderr, "deflate: %s\n", what);
    return 1;
}

static int pump(z_stream *stream, int (*step)(z_streamp, int)) {
    static unsigned char in[CHUNK], out[CHUNK];
    int status = Z_OK, flush = Z_NO_FLUSH;
    while (status != Z_STREAM_END) {
        if (stream->avail_in == 0 && flush == Z_NO_FLUSH) {
            stream->next_in = in;
            stream->avail_in = fread(in, 1, CHUNK, stdin);
            if (stream->avail_in < CHUNK) flush = Z_FINISH;
        }
        stream->next_out = out;
        stream->avail_out = CHUNK;
        status = step(stream, flush);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return fail(stream->msg ? stream->msg : "broken data");
        size_t made = CHUNK - stream->avail_out;
        if (status == Z_BUF_ERROR && made == 0) return fail("unexpected end of data");
        if (fwrite(out, 1, made, stdout) != made) return fail("cannot write");
    }
    return 0;
}

int main(int argc, char **argv) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (argc > 1 && !strcmp(argv[1], "-d")) {
        if (inflateInit2(&stream, GZIP) != Z_OK) return fail("cannot begin");
        return pump(&stream, inflate);
    }
    if (deflateInit2(&stream, 9, Z_DEFLATED, GZIP, 9, Z_DEFAULT_STRATEGY) != Z_OK) return fail("cannot begin");
    return pump(&stream, deflate);
}
