/** The executable's entry behind the door: what the harness bundles and runs in the plugins' place. */
import './door.ts';
import '#cmd/cni-suite/main.ts';
