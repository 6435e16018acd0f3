"""cinder-volume on a storage that holds nothing: volumes are rows of Cinder's, made, attached and deleted at once.

Cinder's own drivers want a volume group, a disk array or a cluster.
"""

import sys

# First: it decides how Cinder runs its threads.
import cinder.cmd.volume
from cinder.volume import driver


class NowhereDriver(driver.VolumeDriver):
    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        self._stats = {
            "volume_backend_name": "nowhere",
            "vendor_name": "apisvc",
            "driver_version": "1",
            "storage_protocol": "iSCSI",
            "total_capacity_gb": 1000,
            "free_capacity_gb": 1000,
        }

    def create_volume(self, volume):
        pass

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        return {}, True  # nothing is to be copied

    def delete_volume(self, volume):
        pass

    def create_snapshot(self, snapshot):
        pass

    def delete_snapshot(self, snapshot):
        pass

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        return {"driver_volume_type": "iscsi", "data": {"access_mode": "rw"}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass


# Found by its name, also in the process that serves it.
driver.NowhereDriver = NowhereDriver
sys.argv[0] = "cinder-volume"
sys.exit(cinder.cmd.volume.main())
