// A genuine systemd, as a user manager in a mount namespace and a control group of its own: it runs units as on an
// instance, but for their users.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { until } from "./processes";

// systemd divides the control group that it starts in, and needs a /run/systemd/system.
const begin = `
for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ ! -e "$tree/cgroup.procs" ] || { mkdir "$tree/$1" && echo $$ >"$tree/$1/cgroup.procs"; } || exit
done
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system &&
    exec /lib/systemd/systemd "$2"`;
const end = `
find /sys/fs/cgroup -depth -type d -path "*/$1*" | while read -r group; do
    until rmdir "$group" 2>/dev/null; do
        xargs -r kill -KILL <"$group/cgroup.procs" 2>/dev/null
        sleep 0.05
    done
done`;

const unshare = (name: string, option: string) =>
    "-m --propagation private sh -c".split(" ").concat(begin, "sh", name, option);
const tidy = (name: string) => spawnSync("sh", ["-c", end, "sh", name]);

/** Whether a systemd can be run here: it takes root, and control groups that may be divided. */
export function canRunSystemd(): boolean {
    const name = `leader-systemd-${process.pid}`;
    const { status } = spawnSync("unshare", unshare(name, "--version"));
    tidy(name);
    return status === 0;
}

export class SystemdManager {
    /** Stands for / of an instance in the units' paths. */
    readonly disk = mkdtempSync(join(tmpdir(), "leader-systemd-"));
    readonly bin = join(this.disk, "bin");
    readonly env = { ...process.env, HOME: this.disk, XDG_RUNTIME_DIR: join(this.disk, "run") };
    private readonly units = join(this.disk, ".config", "systemd", "user");
    private process?: ChildProcess;

    async start(): Promise<void> {
        for (const folder of [this.units, this.env.XDG_RUNTIME_DIR, this.bin]) {
            mkdirSync(folder, { recursive: true, mode: 0o700 });
        }
        this.process = spawn("unshare", unshare(basename(this.disk), "--user"), { env: this.env, stdio: "ignore" });
        await until(() => existsSync(join(this.env.XDG_RUNTIME_DIR, "systemd", "private")));
    }

    async stop(): Promise<void> {
        if (this.process?.kill("SIGKILL")) {
            await once(this.process, "exit");
        }
        tidy(basename(this.disk));
        rmSync(this.disk, { recursive: true });
    }

    /** Runs a shell's text as on the instance. It doesn't block, because metadata's stand-in is in this process. */
    async run(script: string, env: Record<string, string> = {}): Promise<{ status: number; output: string }> {
        const text = script.replaceAll("systemctl ", "systemctl --user ");
        const child = spawn("sh", ["-ec", `exec 2>&1; ${text}`], { env: { ...this.env, ...env } });
        const output: string[] = [];
        child.stdout.on("data", (data) => output.push(String(data)));
        const [status] = await once(child, "close");
        return { status, output: output.join("").trim() };
    }

    /** A property of a unit, as `systemctl show` gives it. */
    show = async (unit: string, property: string): Promise<string> =>
        (await this.run(`systemctl show --value --property=${property} ${unit}`)).output;

    /** Signals a unit's main process alone. */
    signal = (unit: string, signal: NodeJS.Signals) =>
        this.run(`systemctl kill --kill-whom=main --signal=${signal} ${unit}`);

    /** The instance's paths in a text become this disk's. */
    placed = (text: string): string =>
        text.replaceAll(/\/(usr\/local\/|usr\/)?bin\/(?=leader|worker|php|celery)/g, `${this.bin}/`);

    /** Installs a unit or a drop-in as it is, but for what a user's manager can't have, with an environment. */
    async install(name: string, content: string, env: Record<string, string> = {}): Promise<void> {
        const path = join(this.units, name);
        mkdirSync(dirname(path), { recursive: true });
        const lines = Object.entries(env).map(([key, value]) => `Environment="${key}=${value}"\n`);
        const text = this.placed(content)
            .replaceAll(/^User=.*\n/gm, "")
            .replace("WantedBy=multi-user.target", "WantedBy=default.target")
            .replace("[Service]\n", (section) => `${section}${lines.join("")}`);
        writeFileSync(path, text);
        await this.run("systemctl daemon-reload");
    }
}
