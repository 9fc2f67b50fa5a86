// Shows on stderr what is waited for: on a terminal one line that changes each second, else a line now and then.

/** Where progress is shown. */
export interface Stream {
    write(text: string): unknown;
    isTTY?: boolean;
}

export interface Progress {
    /** Shows a line that stays. */
    say(line: string): void;
    /** From now on this is waited for, with the seconds since. */
    waitsFor(what: string): void;
    /** Nothing is waited for any more. */
    end(): void;
}

const quietSeconds = 15;

export function progressOn(stream: Stream): Progress {
    let what = "";
    let began = 0;
    let timer: NodeJS.Timeout | undefined;
    const erase = () => stream.isTTY && stream.write("\r\x1b[K");
    const show = () => {
        const seconds = Math.round((performance.now() - began) / 1000);
        stream.write(stream.isTTY ? `\r\x1b[K… ${what}: ${seconds} s` : `… ${what}: ${seconds} s\n`);
    };
    const end = () => {
        clearInterval(timer);
        timer = undefined;
        what = "";
        erase();
    };
    return {
        say(line) {
            erase();
            stream.write(`${line}\n`);
        },
        waitsFor(next) {
            if (next !== what) {
                clearInterval(timer);
                what = next;
                began = performance.now();
                show();
                timer = setInterval(show, stream.isTTY ? 1000 : quietSeconds * 1000).unref();
            }
        },
        end,
    };
}
