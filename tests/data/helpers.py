"What the tests of the data share"
import csv
import io
import stat
import tarfile
import zipfile


ENDINGS = '.tgz', '.tar.gz', '.tar', '.zip'


def make_archive(path, members):
    "An archive of the kind that its ending says, with these (name or TarInfo, bytes)"
    if path.suffix.lower() == '.zip': return make_zip(path, members)
    with tarfile.open(path, 'w' if path.suffix == '.tar' else 'w:gz') as tar:
        for name, content in members:
            m = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if m.isreg(): m.size = len(content)
            tar.addfile(m, io.BytesIO(content) if m.isreg() else None)
    return path


def make_zip(path, members):
    kinds = {tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.LNKTYPE: stat.S_IFLNK}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            if isinstance(name, tarfile.TarInfo):
                entry = zipfile.ZipInfo(name.name)
                entry.external_attr = (kinds.get(name.type, stat.S_IFREG) | 0o777) << 16
                content = content or name.linkname.encode()
            else: entry = zipfile.ZipInfo(name)
            packed.writestr(entry, content)
    return path


NUMBERS = [('human_numbers/train.txt', b'one \ntwo \n'*500), ('human_numbers/valid.txt', b'three \n')]


def folder(root, members=NUMBERS):
    for name, content in members:
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/name).write_bytes(content)
    return root


def planted(path): return {r['file']: r for r in csv.DictReader(open(path/'planted.csv', newline=''))}
