/**
 * The image that all containers run, the pods' pause container included: Debian's busybox-static and a page that tells who
 * answers whom. An archive in OCI's layout, made here: no registry is asked.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** The image's name; `.invalid` is nobody's domain (RFC 6761), so that no runtime can fetch it. */
export const IMAGE = 'registry.invalid/busybox:1';

/** What the image runs by itself, which makes it a pause container: it waits. */
const WAIT = ['/bin/busybox', 'sleep', '2147483647'];

/** A web server at the pod's port 80; on an address of IPv4, so that it writes others as such, too. */
export const SERVE = ['/bin/busybox', 'httpd', '-f', '-p', '0.0.0.0:80', '-h', '/www'];

/** A command that ends when the server answers, which shows as well that the pod's loopback is up. */
export const READY = [
  '/bin/sh',
  '-c',
  'until /bin/busybox wget -q -O /dev/null http://127.0.0.1/; do /bin/busybox usleep 50000; done',
];

/** Its page: the pod's name, and the address that the client has there. */
export const PAGE = 'cgi-bin/who';

const BUSYBOX = '/bin/busybox';

const PAGE_SCRIPT = `#!/bin/sh
echo
echo "$(/bin/busybox hostname) saw $REMOTE_ADDR"
`;

/** Makes the archive with the help of an empty folder. @returns its path */
export async function makeImage(folder: string): Promise<string> {
  const root = join(folder, 'root');
  for (const name of ['bin', 'www/cgi-bin']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  await refuseShared(root);
  symlinkSync('busybox', join(root, 'bin/sh'));
  writeFileSync(join(root, 'www', PAGE), PAGE_SCRIPT, { mode: 0o755 });
  writeFileSync(join(root, 'www/index.html'), '');
  const layer = join(folder, 'layer.tar');
  await execa('tar', ['--owner=0', '--group=0', '-C', root, '-cf', layer, '.']);
  const layout = join(folder, 'layout');
  writeLayout(layout, readFileSync(layer));
  const archive = join(folder, 'image.tar');
  await execa('tar', ['-C', layout, '-cf', archive, '.']);
  return archive;
}

/** A busybox with shared libraries would not start in a container, and the runtime says only that there is no such file. */
async function refuseShared(root: string): Promise<void> {
  const { failed, stderr } = await execa('chroot', [root, BUSYBOX, 'true'], { reject: false });
  if (failed) throw new Error(`${BUSYBOX} must be that of Debian's busybox-static: ${stderr}`);
}

/** One layer, uncompressed. OCI image-spec: image-layout.md, manifest.md, config.md. */
function writeLayout(folder: string, layer: Buffer): void {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  const blob = (mediaType: string, content: Buffer) => {
    const hash = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(folder, 'blobs/sha256', hash), content);
    return { mediaType, digest: `sha256:${hash}`, size: content.length };
  };
  const document = (mediaType: string, value: object) =>
    blob(mediaType, Buffer.from(JSON.stringify(value)));
  const tar = blob('application/vnd.oci.image.layer.v1.tar', layer);
  const config = document('application/vnd.oci.image.config.v1+json', {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: WAIT },
    rootfs: { type: 'layers', diff_ids: [tar.digest] },
  });
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = document(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config,
    layers: [tar],
  });
  const annotations = { 'io.containerd.image.name': IMAGE };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
  writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}
