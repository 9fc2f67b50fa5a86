import type { Franchise } from "../simulator/electorates";

/** What is expected of an election depends on the stack's settings, and on how the world was disturbed. */
export interface Expectations extends Franchise {
    /** Between demoting a live leader and promoting its successor. */
    handoverMillis: number;
    /** Leaders are protected from scaling in. */
    protectLeader: boolean;
    /** One elector is at work. */
    alone: boolean;
    /** And reads see every write at once: each write can be judged by what was there to be seen. */
    exact: boolean;
    /** Instances whose tags EC2 will not write. */
    cursed: Map<string, string>;
}

/** By how much EC2's reads may lag. */
export const mostLagMillis = 5000;

/** How long what a container wrote counts as read. */
export const rememberedMillis = 30_000;
