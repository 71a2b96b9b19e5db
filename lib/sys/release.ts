/** The suite's own version: package.json's, which the build puts in. */
import manifest from '#package.json' with { type: 'json' };

/** Such as "0.1.0". */
export const RELEASE: string = manifest.version;
